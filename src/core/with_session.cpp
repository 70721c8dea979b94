#include "websession/adapters/exchange.hpp"

namespace websession::adapters {

internal::Thrown internal::thrown_by(void* self, void (*run)(void* self)) {
  try {
    run(self);
  } catch (const Exception& exception) {
    return {exception.error(), nullptr};
  } catch (...) {
    return {std::nullopt, std::current_exception()};
  }
  return {};
}

}  // namespace websession::adapters
