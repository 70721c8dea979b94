// Flash messages: what one request has to say, shown by the next page ("Saved."), once.
//
//   save(form);                                   // POST /settings
//   add_flash(session, "notice", "Saved.");
//   respond(303, "/settings");                    // after the commit
//
//   if (const auto flashes = take_flashes(session)) {  // GET /settings
//     for (const Flash& flash : *flashes) {
//       page << "<p class=" << flash.kind << ">" << escape(flash.text) << "</p>";
//     }
//   }
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "websession/config.hpp"
#include "websession/result.hpp"
#include "websession/session.hpp"

WEBSESSION_API_BEGIN
namespace websession {

class AsyncSession;  // async/session.hpp
template <class T>
class Op;

// One message.
struct Flash {
  std::string kind;
  std::string text;
  friend bool operator==(const Flash&, const Flash&) = default;
};

// Keeps a message for the next page, with the commit (which stores a new session). Messages of
// requests that run at the same time are all kept.
//
// `kind`: 1 to 32 letters, digits, '-' and '_', fit for a class name. `text`: at most 1,024 bytes,
// and not escaped. Like Session::set it returns nothing: a kind or text that is not so is kept as
// the commit's error. A session holds about 16 messages: of more, the oldest leave.
void add_flash(SessionBase& session, std::string_view kind, std::string_view text);

// Takes all messages, in the order in which they were added (across servers, as well as their
// clocks agree). Of any number of pages that load at once, exactly one gets each message.
//
// They are removed at once, in one round trip; none when there is nothing to take, and a few more
// when another request takes some at the same moment. Messages that this very request has added are
// among them, and are then not stored. A session that regenerate replaced a moment ago gives none:
// they are under its new id.
//
// Errors: invalid_argument (the session was invalidated), gone, those of the store; the messages
// then stay, but with `maybe_applied` they may be lost. A page can well be shown without them.
[[nodiscard]] Result<std::vector<Flash>> take_flashes(Session& session);
[[nodiscard]] Op<std::vector<Flash>> take_flashes(const AsyncSession& session);

}  // namespace websession
WEBSESSION_API_END
