# Runs the vcpkg port with stand-ins for what vcpkg gives to a port, since vcpkg itself is in no
# distribution:
#   cmake -DPORT_FOLDER=… -DPACKAGES=<where to install> -DBUILD=<folder> -DFLAGS=<CMake's, in a list>
#         -DVERSION=<the project's> -P run_port.cmake
# The port itself is run as it is, with all its features; each stand-in does what vcpkg's
# documentation says of the function, and stops at an argument that it does not have.
cmake_minimum_required(VERSION 3.24)

# The manifest.
file(READ ${PORT_FOLDER}/vcpkg.json manifest)
string(JSON PORT GET "${manifest}" name)
string(JSON version GET "${manifest}" version-semver)
if(NOT version STREQUAL VERSION)
  message(FATAL_ERROR "${PORT_FOLDER}/vcpkg.json is of ${version}, and the project is ${VERSION}")
endif()
set(FEATURES core)
string(JSON count LENGTH "${manifest}" features)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON feature MEMBER "${manifest}" features ${i})
  string(JSON description GET "${manifest}" features ${feature} description)
  list(APPEND FEATURES ${feature})
endforeach()

set(CURRENT_PACKAGES_DIR ${PACKAGES})
file(REMOVE_RECURSE ${PACKAGES})

function(expect_no_more function)
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${function} has no ${arg_UNPARSED_ARGUMENTS}")
  endif()
endfunction()

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()

function(vcpkg_check_features)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUT_FEATURE_OPTIONS" "FEATURES")
  expect_no_more(vcpkg_check_features)
  set(options "")
  while(arg_FEATURES)
    list(POP_FRONT arg_FEATURES feature option)
    list(FIND FEATURES ${feature} at)
    if(at EQUAL -1)
      message(FATAL_ERROR "the manifest has no feature ${feature}")
    endif()
    # The project has to have such an option.
    file(STRINGS ${SOURCE_PATH}/CMakeLists.txt line REGEX "^option\\(${option} ")
    if(NOT line)
      message(FATAL_ERROR "the project has no option ${option}")
    endif()
    list(APPEND options -D${option}=ON)
    list(APPEND known ${feature})
  endwhile()
  foreach(feature IN LISTS FEATURES)
    if(NOT feature IN_LIST known AND NOT feature STREQUAL core)
      message(FATAL_ERROR "the feature ${feature} does nothing")
    endif()
  endforeach()
  set(${arg_OUT_FEATURE_OPTIONS} "${options}" PARENT_SCOPE)
endfunction()

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  expect_no_more(vcpkg_cmake_configure)
  run(${CMAKE_COMMAND} -S ${arg_SOURCE_PATH} -B ${BUILD} -G Ninja ${FLAGS} ${arg_OPTIONS}
    -DBUILD_SHARED_LIBS=OFF -DCMAKE_INSTALL_PREFIX=${PACKAGES} -DCMAKE_INSTALL_LIBDIR=lib)
endfunction()

function(vcpkg_cmake_install)
  run(${CMAKE_COMMAND} --build ${BUILD} --target install)
endfunction()

# One folder less is between the files and the prefix when they have moved.
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH;PACKAGE_NAME" "")
  expect_no_more(vcpkg_cmake_config_fixup)
  file(GLOB before ${PACKAGES}/${arg_CONFIG_PATH}/*)
  if(NOT before)
    message(FATAL_ERROR "there is no ${arg_CONFIG_PATH}")
  endif()
  file(MAKE_DIRECTORY ${PACKAGES}/share)
  file(RENAME ${PACKAGES}/${arg_CONFIG_PATH} ${PACKAGES}/share/${PORT})
  file(REMOVE_RECURSE ${PACKAGES}/lib/cmake)
  file(GLOB targets ${PACKAGES}/share/${PORT}/*-targets.cmake)
  set(up "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\n")
  foreach(file IN LISTS targets)
    file(READ ${file} text)
    string(REPLACE "${up}${up}${up}" "${up}${up}" text "${text}")
    file(WRITE ${file} "${text}")
  endforeach()
endfunction()

function(vcpkg_fixup_pkgconfig)
  file(GLOB files ${PACKAGES}/lib/pkgconfig/*.pc)
  if(NOT files)
    message(FATAL_ERROR "there are no .pc files")
  endif()
endfunction()

function(vcpkg_copy_tools)
  cmake_parse_arguments(PARSE_ARGV 0 arg "AUTO_CLEAN" "" "TOOL_NAMES")
  expect_no_more(vcpkg_copy_tools)
  foreach(tool IN LISTS arg_TOOL_NAMES)
    file(MAKE_DIRECTORY ${PACKAGES}/tools/${PORT})
    file(RENAME ${PACKAGES}/bin/${tool} ${PACKAGES}/tools/${PORT}/${tool})
  endforeach()
  if(arg_AUTO_CLEAN)
    file(REMOVE_RECURSE ${PACKAGES}/bin)
  endif()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  expect_no_more(vcpkg_install_copyright)
  file(COPY_FILE ${arg_FILE_LIST} ${PACKAGES}/share/${PORT}/copyright)
endfunction()

include(${PORT_FOLDER}/portfile.cmake)

foreach(file IN ITEMS share/websession/copyright share/websession/usage
    share/websession/websession-config.cmake include/websession/websession.hpp
    lib/libwebsession_core.a lib/libwebsession_redis.a lib/libwebsession_sqlite.a
    lib/libwebsession_postgres.a tools/websession/websession-admin)
  if(NOT EXISTS ${PACKAGES}/${file})
    message(FATAL_ERROR "the port installs no ${file}")
  endif()
endforeach()
if(EXISTS ${PACKAGES}/bin OR EXISTS ${PACKAGES}/share/doc)
  message(FATAL_ERROR "the port installs what vcpkg refuses: bin, share/doc")
endif()
