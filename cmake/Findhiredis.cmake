# Finds hiredis, 0.14 (without CMake files of its own) as well as 1.x, and makes the target
# hiredis::hiredis. Sets hiredis_FOUND and hiredis_VERSION.

find_path(hiredis_INCLUDE_DIR hiredis/hiredis.h)
find_library(hiredis_LIBRARY hiredis)
mark_as_advanced(hiredis_INCLUDE_DIR hiredis_LIBRARY)

if(hiredis_INCLUDE_DIR)
  set(hiredis_VERSION "")
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${hiredis_INCLUDE_DIR}/hiredis/hiredis.h line
      REGEX "^#define HIREDIS_${part} [0-9]+" LIMIT_COUNT 1)
    string(REGEX MATCH "[0-9]+$" number "${line}")
    list(APPEND hiredis_VERSION ${number})
  endforeach()
  list(JOIN hiredis_VERSION "." hiredis_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(hiredis
  REQUIRED_VARS hiredis_LIBRARY hiredis_INCLUDE_DIR
  VERSION_VAR hiredis_VERSION
  REASON_FAILURE_MESSAGE "Install libhiredis-dev.")

if(hiredis_FOUND AND NOT TARGET hiredis::hiredis)
  add_library(hiredis::hiredis UNKNOWN IMPORTED)
  set_target_properties(hiredis::hiredis PROPERTIES
    IMPORTED_LOCATION ${hiredis_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${hiredis_INCLUDE_DIR})
endif()
