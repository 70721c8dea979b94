// The text of one session as express-session and connect-redis write it, taken apart and put
// together. No I/O.
//
//   {"cookie":{…}, "<attribute>":<value>, …, "__websession":{"@created":…, …}}
//
// Texts are cut out of it, not parsed and printed anew: numbers keep their digits and the cookie
// its bytes.
#pragma once

#include <string>
#include <string_view>

#include "websession/clock.hpp"
#include "websession/fields.hpp"
#include "websession/redis_json_store.hpp"
#include "websession/result.hpp"
#include "websession/session_store.hpp"

namespace websession::redis {

struct JsonDocument {
  Fields fields;  // with their deadlines, those that have expired included
  // Members that are not ours, as they stand there: express-session's cookie, and names with '@'.
  std::string kept;
};

// Error: corrupt.
Result<JsonDocument> parse_document(std::string_view text);

// Whatever the fields hold, parse_document gives the same again. What JSON cannot hold (names and
// texts that are not UTF-8, JSON texts in an unusual form) is kept where Express does not see it.
std::string write_document(const Fields& fields, std::string_view kept);

// What is `kept` of a session that begins now.
std::string write_cookie(const ExpressCookie& cookie, WallTime now);

// Names that Express would not load, or take for its own. Error: invalid_argument.
Result<void> validate_names(const Fields& fields);
Result<void> validate_names(const Changes& changes);

}  // namespace websession::redis
