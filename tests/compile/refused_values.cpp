// None of these compiles, and each gets one error that says what to write (the comment before it).
// The types differ: a compiler says the same of the same type only once.
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "websession/websession.hpp"

namespace {

struct UserPrefs {};
struct OtherPrefs {};
struct MorePrefs {};
enum class Color { red };
enum Old { one };

}  // namespace

void refuse(websession::Session& session, const char* text, int* number) {
  // error: a pointer is no value
  session.set("a", text);
  // error: a pointer is no value
  (void)session.consume("a", number);
  // error: this type is no value
  session.set("a", UserPrefs());
  // error: this type is no value
  (void)session.get<OtherPrefs>("a");
  // error: this type is no value
  (void)session.value("a", MorePrefs());
  // error: this type is no value
  session.set("a", std::pair(1, 2), std::chrono::seconds(1));
  // error: this type is no value
  session.set("a", std::vector<const char*>());
  // error: this enum is no value
  session.set("a", Color::red);
  // error: this enum is no value
  (void)session.compare_and_set("a", 1, one);
  // error: a std::chrono type is no value
  session.set("a", std::chrono::system_clock::now());
  // error: a std::chrono type is no value
  (void)session.value("a", std::chrono::seconds(1));
  // error: ordered_json is no value
  session.set("a", nlohmann::ordered_json());
  // error: a view would dangle
  (void)session.get<std::string_view>("a");
  // error: a view would dangle
  (void)session.get<std::optional<std::string_view>>("a");
}
