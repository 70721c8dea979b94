// What a SessionManager takes from a request, and gives to its response.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websession/config.hpp"
#include "websession/cookie.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

// What open needs to know of a request.
struct RequestInfo {
  std::string_view cookie_header{};  // several Cookie lines: joined with "; "
  bool https = false;                // as the browser sees it
  // Values, where TransportOptions takes them; several lines: joined with ", ".
  std::string_view authorization{};   // Authorization
  std::string_view session_header{};  // TransportOptions::header
  // The request is no sign of a visitor, as the polls of a page that is open all night are: it
  // reads and writes the session, but does not renew it, so it ends when nobody comes. What signs
  // in, sets timeouts or makes a new session lives as long as ever.
  bool passive = false;
};

// A header to put on the response, after the handler.
struct Header {
  enum class Mode {
    append,   // one more line of that name
    replace,  // instead of what the handler set
    merge,    // more members of a comma-separated list, those that are not there, unless a `*` is
    unless_set,  // only if the handler set none of that name
  };
  std::string name;
  std::string value;
  Mode mode = Mode::append;

  // For a host, in all modes but `append`: what the response's lines of this name have to become
  // one line of; nullopt: they stay as they are. `present` is what is there, several lines joined
  // with ", "; empty: nothing. (A host that only appends is safe, too: caches heed the strictest.)
  [[nodiscard]] std::optional<std::string> over(std::string_view present) const;
};

// What a commit did, and what to put on the response.
struct Commit {
  enum class Status {
    unchanged,    // nothing was due; no round trip
    renewed,      // only the time to live
    created,      // a new session and its id
    updated,      // attributes
    regenerated,  // a new id
    erased,       // it ended, as invalidate or sign_out had asked (the cookie: see commit)
    gone,         // the session ended while the request ran: nothing was written, no Set-Cookie
  };
  Status status = Status::unchanged;
  // Set-Cookie and with it Cache-Control: no-store; those of SessionOptions::cache_headers, for any
  // status. Names come once.
  std::vector<Header> headers{};
  // The new id of a client without cookies is among them, as TransportOptions::response_header.
  //
  // The Set-Cookie that is among them, for a host that keeps cookies apart from other headers.
  std::optional<SetCookie> cookie{};
};

// What becomes of a request's response (SessionManager::finish).
struct Finished {
  // Answer with this, in place of whatever the handler has made.
  std::optional<Error> error{};
  // Its headers go on the response in any case.
  Commit commit{};
};

}  // namespace websession
WEBSESSION_API_END
