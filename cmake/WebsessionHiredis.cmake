# What the target hiredis::hiredis is, whoever made it: Findhiredis, hiredis' own package, or a
# parent project (FetchContent, add_subdirectory).

# websession_describe_hiredis() sets
#   websession_hiredis_header   as it is included: hiredis/hiredis.h, or hiredis.h in a source tree
#   websession_hiredis_abi      what changes with its interface: HIREDIS_SONAME
#   websession_hiredis_problem  what is wrong with it; empty: nothing
# The first two are empty when the target does not tell where its header is.
function(websession_describe_hiredis)
  set(target hiredis::hiredis)
  get_target_property(aliased ${target} ALIASED_TARGET)
  if(aliased)
    set(target ${aliased})
  endif()
  set(header "")
  set(abi "")
  set(problem "")
  get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
  string(REGEX REPLACE "\\$<BUILD_INTERFACE:([^>]*)>" "\\1" folders "${folders}")
  foreach(folder IN LISTS folders)
    if(EXISTS ${folder}/hiredis/hiredis.h)
      set(header hiredis/hiredis.h)
    elseif(EXISTS ${folder}/hiredis.h)
      set(header hiredis.h)
    else()
      continue()
    endif()
    file(STRINGS ${folder}/${header} line REGEX "^#define HIREDIS_SONAME [0-9.]+" LIMIT_COUNT 1)
    string(REGEX MATCH "[0-9.]+$" abi "${line}")
    websession_hiredis_library_abi(${target} library)
    if(abi VERSION_LESS 0.14)
      set(problem "${folder}/${header} is of hiredis ${abi}: websession needs 0.14 or newer")
    elseif(library AND NOT library STREQUAL abi)
      string(CONCAT problem "${folder}/${header} is of another hiredis (${abi}) than the library "
        "of the target ${target} (${library})")
    endif()
    break()
  endforeach()
  set(websession_hiredis_header "${header}" PARENT_SCOPE)
  set(websession_hiredis_abi "${abi}" PARENT_SCOPE)
  set(websession_hiredis_problem "${problem}" PARENT_SCOPE)
endfunction()

# The ABI of the library: by the name of its file, or the version of the target that builds it.
# Empty when neither tells.
function(websession_hiredis_library_abi target result)
  get_target_property(is_imported ${target} IMPORTED)
  if(is_imported)
    get_target_property(library ${target} LOCATION)
    if(EXISTS "${library}")
      file(REAL_PATH ${library} library)
    endif()
    string(REGEX MATCH "\\.so\\.([0-9.]+)$" abi "${library}")
    set(abi "${CMAKE_MATCH_1}")
  else()
    get_target_property(abi ${target} VERSION)
  endif()
  if(NOT abi MATCHES "^[0-9.]+$")
    set(abi "")
  endif()
  set(${result} "${abi}" PARENT_SCOPE)
endfunction()
