// What each file of a user's pays for: the umbrella header brings no more than it needs.
#include "websession/websession.hpp"

#ifdef INCLUDE_NLOHMANN_JSON_HPP_
#error "the umbrella header includes <nlohmann/json.hpp>"
#endif
#if defined(_GLIBCXX_IOSTREAM) || defined(_GLIBCXX_REGEX) || defined(_GLIBCXX_THREAD)
#error "the umbrella header includes <iostream>, <regex> or <thread>"
#endif

// Most values need no complete nlohmann::json.
int use(websession::Session& session) {
  session.set("name", "Ada");
  session.set("pages", std::vector<int>{1, 2});
  session.set("none", nullptr);
  return session.value("pages", std::vector<int>()).front() +
         session.value("plan", std::optional<int>()).value_or(1);
}
