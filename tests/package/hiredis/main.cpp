#include "hiredis.hpp"

static_assert(HIREDIS_MINOR == 99, "the header is not that of the target hiredis::hiredis");

int main() {}
