#include "websession/result.hpp"

namespace websession {
namespace {

class Category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "websession"; }
  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::unavailable:
        return "unavailable";
      case Errc::timeout:
        return "timeout";
      case Errc::overloaded:
        return "overloaded";
      case Errc::rejected:
        return "rejected";
      case Errc::key_exists:
        return "key exists";
      case Errc::corrupt:
        return "corrupt";
      case Errc::too_large:
        return "too large";
      case Errc::invalid_argument:
        return "invalid argument";
      case Errc::no_randomness:
        return "no randomness";
      case Errc::gone:
        return "gone";
      case Errc::too_many_sessions:
        return "too many sessions";
      case Errc::canceled:
        return "canceled";
    }
    return "unknown error";
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  // Never destroyed, as threads may need it until the very end. A few bytes at the first error: if
  // even those are not to be had, the process may end.
  // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new)
  static const Category& category = *new Category;
  return category;
}

std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

std::string Error::message() const {
  std::string text = code.message();
  if (!detail.empty()) text += ": " + detail;
  if (maybe_applied) text += " (the write may have been applied)";
  return text;
}

Error make_error(Errc code, std::string detail) { return {code, std::move(detail), false}; }

Exception::Exception(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}

void internal::raise(const Error& error) { throw Exception(error); }

}  // namespace websession
