// Forking while other threads run.
#pragma once

namespace websession::testing {

// The child of a fork has the allocator's locks as other threads held them. glibc's allocator
// mends that; gcc 12's AddressSanitizer does not, and its child may wait for ever.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool child_may_allocate = false;
#else
inline constexpr bool child_may_allocate = true;
#endif
inline constexpr const char* child_may_hang =
    "a child that AddressSanitizer's allocator was forked into may hang";

}  // namespace websession::testing
