#include "websession/adapters/with_session.hpp"

namespace websession::adapters {

std::optional<Error> internal::error_thrown_by(void (*call)(void*), void* argument) {
  try {
    call(argument);
  } catch (const Exception& exception) {
    return exception.error();
  }
  return std::nullopt;
}

}  // namespace websession::adapters
