#include "websession/adapters/with_session.hpp"

namespace websession::adapters {

std::optional<Error> internal::error_thrown_by(void (*call)(void*), void* argument,
                                               const SessionManager& manager, Session& session) {
  try {
    call(argument);
  } catch (const Exception& exception) {
    manager.report(exception.error(), session);
    return exception.error();
  } catch (...) {
    (void)manager.abandon(session);  // the handler's failure is the one to hear of
    throw;
  }
  return std::nullopt;
}

}  // namespace websession::adapters
