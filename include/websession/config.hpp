// What every public header stands on: the language, and what a shared library shows.
#pragma once

#include <version>

#if __cplusplus < 202002L
#error "websession needs C++20: compile with -std=c++20"
#elif defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 200000
#error "libc++ before 20 lacks what websession needs: use libstdc++ (no -stdlib=libc++)"
#elif defined(Status)
#error "Xlib makes Status a macro: include websession before it, and write #undef Status after it"
#endif

// What is declared between these two is exported by a shared build of the library, which hides all
// else. A region and not a mark on each name: what stands in a public header is public. (Not an
// attribute of the namespace: clang does not apply that to functions defined elsewhere.) A static
// library is hidden or shown as the flags of its build say.
#ifdef WEBSESSION_SHARED
#define WEBSESSION_API_BEGIN _Pragma("GCC visibility push(default)")
#define WEBSESSION_API_END _Pragma("GCC visibility pop")
#else
#define WEBSESSION_API_BEGIN
#define WEBSESSION_API_END
#endif
