// hiredis, from where its target has it.
#pragma once

#ifdef WEBSESSION_HIREDIS_SOURCE_TREE
#include <hiredis.h>
#else
#include <hiredis/hiredis.h>
#endif
