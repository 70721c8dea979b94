/* As in a source tree of hiredis, which has its headers in no folder of that name. */
#define HIREDIS_MAJOR 1
#define HIREDIS_MINOR 99
#define HIREDIS_PATCH 0
#define HIREDIS_SONAME 1.99.0
