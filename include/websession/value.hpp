// How attribute values become text and back: readable, and without loss.
//
// A number, bool, null, array or object is its JSON text. A string is stored as it is, unless it
// reads as JSON itself (`123`, `true`, `"x"`, `{`…): then it is stored as a JSON string. So a count
// is `1` and a name is `Ada` to every other program that looks into the store.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// A string that is stored as its bytes are, whatever they read as: for programs that keep plain
// strings in the same place (a postcode `10115` stays `10115`, and reads as a number here).
struct Text {
  std::string bytes;
  friend bool operator==(const Text&, const Text&) = default;
};

namespace internal {

template <class T>
concept Character = std::same_as<T, char> || std::same_as<T, wchar_t> || std::same_as<T, char8_t> ||
    std::same_as<T, char16_t> || std::same_as<T, char32_t>;

template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !Character<T>;

template <class T>
concept StringLike = std::same_as<T, std::string> || std::same_as<T, std::string_view>;

template <class T>
inline constexpr bool is_char_array = false;
template <std::size_t N>
inline constexpr bool is_char_array<char[N]> = true;

// A char array holds a string up to its first NUL.
template <class T>
requires StringLike<T> || is_char_array<T> std::string_view view_of(const T& value)
noexcept {
  if constexpr (is_char_array<T>) {
    return {value, ::strnlen(value, sizeof(value))};
  } else {
    return value;
  }
}

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_vector = false;
template <class T, class A>
inline constexpr bool is_vector<std::vector<T, A>> = true;

// std::map, std::unordered_map and the like.
template <class T>
concept StringMap = std::same_as<typename T::key_type, std::string> &&
    requires(T map, typename T::mapped_type value) {
  map.insert_or_assign(std::string(), std::move(value));
};

// A to_json beside the type, found by the argument alone. nlohmann's own, which would take an enum
// for a number, must not count; from its version 3.11.3 on they are found for any json. They do not
// take what stands in for one, and so cannot be confused with another's.
struct JsonStandIn {
  // What nlohmann's functions ask of a json before they find that it is none.
  struct Nothing;
  using string_t = Nothing;
  using binary_t = Nothing;
  using array_t = Nothing;
  using object_t = Nothing;
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator nlohmann::json&() const;
};
struct JsonStandIn::Nothing {};
template <class T>
concept HasOwnToJson = requires(JsonStandIn& json, const T& value) {
  to_json(json, value);
};
// What nlohmann's own may take.
template <class T>
concept MaybeNlohmanns = std::is_enum_v<T> || requires {
  typename T::value_type;
} || requires {
  std::tuple_size<T>::value;
} || std::convertible_to<const T&, std::string_view>;
template <class T>
concept FindsToJson = requires(nlohmann::json& json, const T& value) {
  to_json(json, value);
};
template <class T>
concept HasToJson = FindsToJson<T> &&(!MaybeNlohmanns<T> || HasOwnToJson<T>);
// For the types of others there is adl_serializer. Its template for all types has no one address.
template <class T>
concept HasSerializer = requires {
  &nlohmann::adl_serializer<T>::to_json;
};
template <class T>
inline constexpr bool is_json =
    std::same_as<T, nlohmann::json> || std::same_as<T, nlohmann::ordered_json>;
template <class T>
concept Custom = (std::is_class_v<T> || std::is_enum_v<T>)&&!is_json<T> &&
                 (HasToJson<T> || HasSerializer<T>);

// What can also stand inside an array or an object.
template <class T>
inline constexpr bool is_element = std::same_as<T, bool> || Integer<T> || std::same_as<T, float> ||
                                   std::same_as<T, double> || std::same_as<T, std::nullptr_t> ||
                                   StringLike<T> || std::same_as<T, nlohmann::json> || Custom<T>;
// null is nullopt, so what is in it cannot be null as well.
template <class T>
inline constexpr bool is_element<std::optional<T>> =
    is_element<T> && !is_optional<T> && !std::same_as<T, std::nullptr_t>;
template <class T, class A>
inline constexpr bool is_element<std::vector<T, A>> = is_element<T>;
template <StringMap T>
inline constexpr bool is_element<T> = is_element<typename T::mapped_type>;

template <class T>
inline constexpr bool holds_view = std::same_as<T, std::string_view>;
template <class T>
inline constexpr bool holds_view<std::optional<T>> = holds_view<T>;
template <class T, class A>
inline constexpr bool holds_view<std::vector<T, A>> = holds_view<T>;
template <StringMap T>
inline constexpr bool holds_view<T> = holds_view<typename T::mapped_type>;

}  // namespace internal

// What can be an attribute's value: bool, integers, float, double, strings (std::string,
// std::string_view, literals), Text, nlohmann::json, nullptr (JSON null), std::optional,
// std::vector and maps from std::string of these (but Text), and types with to_json and from_json
// as nlohmann::json has them. An empty optional is null, which is there: it is not `remove`.
//
// Pointers are not among them, `const char*` included: a pointer would silently become a bool. Nor
// are enums without a to_json: a number that means another thing after the next release.
template <class T>
concept Value = internal::is_element<T> || internal::is_char_array<T> || std::same_as<T, Text>;

// What a value can be read as: what holds a std::string_view would dangle.
template <class T>
concept ReadableValue = Value<T> && !internal::is_char_array<T> && !internal::holds_view<T>;

// True when the whole text is one JSON value (RFC 8259) with finite numbers, nested at most 128
// deep. A NUL or a byte order mark makes it no JSON. The encoder and the decoder both decide by it.
[[nodiscard]] bool reads_as_json(std::string_view text);

// The stored text of a string.
std::string encode(std::string_view value);

namespace internal {

// All that knows how JSON is read and written is in the library, and what passes is text: so a
// program may build with another nlohmann::json than the library did, and needs the complete type
// only where it uses it.

Result<std::int64_t> decode_signed(std::string_view text);
Result<std::uint64_t> decode_unsigned(std::string_view text);
Result<double> decode_double(std::string_view text);
Result<bool> decode_bool(std::string_view text);
std::string decode_string(std::string_view text);
[[nodiscard]] bool is_null(std::string_view text);
// The stored texts that read as this string: its bytes, and those of it as a JSON string.
std::vector<std::string> forms_of(std::string_view value);
// The value as JSON, whatever the form it is stored in. Error: it is not UTF-8.
Result<std::string> json_form(std::string_view text);
// The texts of an array's elements. They point into `text`.
Result<std::vector<std::string_view>> elements_of(std::string_view text);
// The texts of an object's names and values, by turns.
Result<std::vector<std::string_view>> members_of(std::string_view text);
// The string that a JSON string means.
Result<std::string> unquoted(std::string_view text);

Result<std::string> json_text(double value);
// As a JSON string. Error: it is not UTF-8.
Result<std::string> json_string(std::string_view value);
[[nodiscard]] bool is_utf8(std::string_view text);
// What is stored of a JSON text: a string in the form of strings.
Result<std::string> stored_form(Result<std::string> json);
// The text, unless its parts have made it nest too deep.
Result<std::string> shallow(Result<std::string> json);
// Error: the function threw, as from_json does when the JSON is that of another type.
Result<void> from_json_by(void (*call)(void*), void* argument);

Error narrowing_error();

// nullptr when fine, else what is wrong with it. dump() would write NaN as null, and throw at what
// is not UTF-8.
template <class Json>
const char* problem_of(const Json& tree, int depth = 0) {
  if (tree.is_structured() && depth >= 128) return "a JSON value nests deeper than 128";
  if (tree.is_binary() || tree.is_discarded()) return "binary data is no JSON value";
  if (tree.is_number_float() && !json_text(tree.template get<double>())) {
    return "NaN and infinities are no JSON numbers";
  }
  constexpr const char* not_utf8 = "a string inside a JSON value is not UTF-8";
  if (tree.is_string()) {
    return is_utf8(tree.template get_ref<const typename Json::string_t&>()) ? nullptr : not_utf8;
  }
  if (!tree.is_structured()) return nullptr;
  for (auto part = tree.begin(); part != tree.end(); ++part) {
    if (tree.is_object() && !is_utf8(part.key())) return not_utf8;
    if (const char* problem = problem_of(*part, depth + 1)) return problem;
  }
  return nullptr;
}

// Asks for a complete type only when it is instantiated.
template <class T>
using JsonFor = std::conditional_t<std::same_as<T, void>, void, nlohmann::json>;

template <class T>
auto tree_of(const T& value) {
  JsonFor<T> tree;
  if constexpr (HasToJson<T>) {
    to_json(tree, value);
  } else {
    nlohmann::adl_serializer<T>::to_json(tree, value);
  }
  return tree;
}

template <class Json>
Result<std::string> tree_text(const Json& tree) {
  if (const char* problem = problem_of(tree)) return make_error(Errc::invalid_argument, problem);
  return tree.dump();
}

// The JSON text of a value.
template <class T>
Result<std::string> json_text_of(const T& value);

template <class Vector>
Result<std::string> array_text(const Vector& values) {
  std::string text = "[";
  for (auto&& value : values) {  // std::vector<bool> gives proxies
    Result<std::string> part = json_text_of<typename Vector::value_type>(value);
    if (!part) return part;
    if (text.size() > 1) text += ',';
    text += *part;
  }
  return text + "]";
}

template <class Map>
Result<std::string> object_text(const Map& map) {
  std::string text = "{";
  for (const auto& [name, value] : map) {
    Result<std::string> key = json_string(name);
    if (!key) return key;
    Result<std::string> part = json_text_of<typename Map::mapped_type>(value);
    if (!part) return part;
    if (text.size() > 1) text += ',';
    text.append(*key).append(1, ':').append(*part);
  }
  return text + "}";
}

template <class T>
Result<std::string> json_text_of(const T& value) {
  if constexpr (StringLike<T>) {
    return json_string(value);
  } else if constexpr (std::same_as<T, std::nullptr_t>) {
    return std::string("null");
  } else if constexpr (std::same_as<T, bool>) {
    return std::string(value ? "true" : "false");
  } else if constexpr (std::floating_point<T>) {
    return json_text(static_cast<double>(value));
  } else if constexpr (Integer<T>) {
    return std::to_string(value);
  } else if constexpr (std::same_as<T, nlohmann::json>) {
    return tree_text(value);
  } else if constexpr (is_optional<T>) {
    return value ? json_text_of(*value) : json_text_of(nullptr);
  } else if constexpr (is_vector<T>) {
    return array_text(value);
  } else if constexpr (StringMap<T>) {
    return object_text(value);
  } else {
    return tree_text(tree_of(value));
  }
}

// What a JSON text says, as a T.
template <class T>
Result<T> read_json(std::string_view text);

template <class T>
Result<T> read_float(std::string_view text) {
  Result<double> number = decode_double(text);
  if (!number) return std::move(number).error();
  constexpr double limit = std::numeric_limits<T>::max();
  if (*number < -limit || *number > limit) return narrowing_error();
  const T narrow = static_cast<T>(*number);
  if (static_cast<double>(narrow) != *number) return narrowing_error();
  return narrow;
}

template <class T>
Result<T> read_integer(std::string_view text) {
  auto number = [text] {
    if constexpr (std::signed_integral<T>) {
      return decode_signed(text);
    } else {
      return decode_unsigned(text);
    }
  }();
  if (!number) return std::move(number).error();
  if (*number < std::numeric_limits<T>::min() || *number > std::numeric_limits<T>::max()) {
    return narrowing_error();
  }
  return static_cast<T>(*number);
}

template <class Vector>
Result<Vector> read_array(std::string_view text) {
  Result<std::vector<std::string_view>> parts = elements_of(text);
  if (!parts) return std::move(parts).error();
  Vector values;
  for (const std::string_view part : *parts) {
    Result<typename Vector::value_type> value = read_json<typename Vector::value_type>(part);
    if (!value.has_value()) return std::move(value).error();
    values.push_back(*std::move(value));
  }
  return values;
}

template <class Map>
Result<Map> read_object(std::string_view text) {
  Result<std::vector<std::string_view>> parts = members_of(text);
  if (!parts) return std::move(parts).error();
  Map map;
  for (std::size_t i = 0; i < parts->size(); i += 2) {
    Result<std::string> name = unquoted((*parts)[i]);
    if (!name) return std::move(name).error();
    auto value = read_json<typename Map::mapped_type>((*parts)[i + 1]);
    if (!value.has_value()) return std::move(value).error();
    map.insert_or_assign(*std::move(name), *std::move(value));
  }
  return map;
}

template <class T>
Result<T> read_tree(std::string_view text) {
  auto tree = JsonFor<T>::parse(text.begin(), text.end(), nullptr, false);
  if constexpr (std::same_as<T, nlohmann::json>) {
    return tree;
  } else {
    std::optional<T> value;
    auto convert = [&] { value.emplace(tree.template get<T>()); };
    const Result<void> converted = from_json_by(
        [](void* argument) { (*static_cast<decltype(convert)*>(argument))(); }, &convert);
    if (!converted) return converted.error();
    return *std::move(value);
  }
}

template <class T>
Result<T> read_json(std::string_view text) {
  if constexpr (std::same_as<T, std::string>) {
    return unquoted(text);
  } else if constexpr (std::same_as<T, std::nullptr_t>) {
    if (!is_null(text)) return make_error(Errc::invalid_argument, "the stored text is not null");
    return nullptr;
  } else if constexpr (std::same_as<T, bool>) {
    return decode_bool(text);
  } else if constexpr (std::floating_point<T>) {
    return read_float<T>(text);
  } else if constexpr (Integer<T>) {
    return read_integer<T>(text);
  } else if constexpr (is_optional<T>) {
    if (is_null(text)) return T();
    Result<typename T::value_type> value = read_json<typename T::value_type>(text);
    if (!value.has_value()) return std::move(value).error();
    return T(*std::move(value));
  } else if constexpr (is_vector<T>) {
    return read_array<T>(text);
  } else if constexpr (StringMap<T>) {
    return read_object<T>(text);
  } else {
    return read_tree<T>(text);
  }
}

template <class T>
concept Moment = requires {
  typename T::rep;
  typename T::period;
};

// One static_assert that says what to write instead. Gives an error, so that what comes after it
// compiles.
template <class T>
Error not_a_value() {
  constexpr bool pointer = std::is_pointer_v<T>;
  constexpr bool enumeration = std::is_enum_v<T>;
  constexpr bool view = holds_view<T> || is_char_array<T>;
  constexpr bool ordered = std::same_as<T, nlohmann::ordered_json>;
  constexpr bool moment = Moment<T>;
  static_assert(!pointer,
                "websession: a pointer is no value, as it would become a bool: write "
                "std::string_view(p) for a C string, or *p for what it points to");
  static_assert(!enumeration,
                "websession: this enum is no value: write static_cast<int>(e), or give it names "
                "with NLOHMANN_JSON_SERIALIZE_ENUM (include <nlohmann/json.hpp>)");
  static_assert(!view, "websession: a view would dangle: read a std::string");
  static_assert(!ordered,
                "websession: ordered_json is no value, as the store keeps no order: write "
                "nlohmann::json(value)");
  static_assert(!moment,
                "websession: a std::chrono type is no value: write "
                "time.time_since_epoch().count() or duration.count() and name the unit");
  static_assert(pointer || enumeration || view || ordered || moment,
                "websession: this type is no value. Values are bool, integers, float, double, "
                "strings, websession::Text, nlohmann::json, nullptr, and std::optional, "
                "std::vector and maps from std::string of these. Give a type of your own to_json "
                "and from_json: NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Type, members...) (include "
                "<nlohmann/json.hpp>)");
  return make_error(Errc::invalid_argument, {});
}

}  // namespace internal

// The stored text of a value.
// Errors: invalid_argument for NaN and infinities; for what becomes JSON and holds invalid UTF-8 or
// binary data, or nests deeper than 128. What a to_json throws goes on to the caller.
template <class T>
Result<std::string> encode_value(const T& value) {
  if constexpr (!Value<T>) {
    return internal::not_a_value<T>();
  } else if constexpr (internal::is_char_array<T> || internal::StringLike<T>) {
    return encode(internal::view_of(value));
  } else if constexpr (std::same_as<T, Text>) {
    return value.bytes;
  } else if constexpr (internal::is_optional<T>) {
    return value ? encode_value(*value) : encode_value(nullptr);
  } else if constexpr (std::is_arithmetic_v<T> || std::same_as<T, std::nullptr_t>) {
    return internal::json_text_of(value);
  } else if constexpr (internal::is_vector<T> || internal::StringMap<T>) {
    return internal::shallow(internal::json_text_of(value));
  } else {
    return internal::stored_form(internal::json_text_of(value));
  }
}

// The value of a stored text. A number is exact or an error: nothing is narrowed or truncated, no
// bool is a number (1.0 reads as the integer 1; a decimal fraction reads as the nearest double, as
// everywhere in JSON); so are those in a std::vector or a map. (What a from_json does with numbers
// is up to it.) std::string gives the text itself for anything that is not a JSON string, and for
// std::optional null is nullopt.
// Error: invalid_argument when the text is of another type, or from_json threw.
template <class T>
Result<T> decode(std::string_view text) {
  if constexpr (!ReadableValue<T>) {
    return internal::not_a_value<T>();
  } else if constexpr (std::same_as<T, std::string>) {
    return internal::decode_string(text);
  } else if constexpr (std::same_as<T, Text>) {
    return Text{std::string(text)};
  } else if constexpr (internal::is_optional<T>) {
    if (internal::is_null(text)) return T();
    Result<typename T::value_type> value = decode<typename T::value_type>(text);
    if (!value.has_value()) return std::move(value).error();
    return T(*std::move(value));
  } else if constexpr (internal::Custom<T> || std::same_as<T, nlohmann::json>) {
    Result<std::string> json = internal::json_form(text);
    if (!json) return std::move(json).error();
    return internal::read_json<T>(*json);
  } else {
    return internal::read_json<T>(text);
  }
}

}  // namespace websession
WEBSESSION_API_END
