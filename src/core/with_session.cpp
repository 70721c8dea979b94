#include "websession/adapters/with_session.hpp"

namespace websession::adapters {

std::optional<Error> internal::error_thrown_by(const HandlerCall& call,
                                               const SessionManager& manager, Session& session,
                                               const RequestInfo& request) {
  try {
    call.run(call.self);
  } catch (const Exception& exception) {
    manager.report(exception.error(), session);
    return exception.error();
  } catch (...) {
    // The handler's failure is the one to hear of.
    const Result<Commit> abandoned = manager.abandon(session);
    const auto headers = abandoned ? abandoned->headers : manager.cache_headers(request);
    for (const Header& header : headers) call.put(call.self, header);
    throw;
  }
  return std::nullopt;
}

}  // namespace websession::adapters
