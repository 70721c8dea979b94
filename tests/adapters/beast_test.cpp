// What is Boost.Beast's own; the rest is in adapter_cases_test.cpp.
#include "websession/adapters/beast.hpp"
