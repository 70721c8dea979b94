# One place that knows how a component of the library is built, named and installed.

# websession_component(<name> SOURCES <files> [PUBLIC <targets>] [PRIVATE <targets>])
# makes the library target websession_<name>, also known as websession::<name>.
function(websession_component name)
  # Before 1.0 each minor version has a binary interface of its own (CONTRIBUTING.md).
  set(soversion ${PROJECT_VERSION_MAJOR})
  if(soversion EQUAL 0)
    set(soversion 0.${PROJECT_VERSION_MINOR})
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE")
  set(target websession_${name})
  add_library(${target} ${arg_SOURCES})
  add_library(websession::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    POSITION_INDEPENDENT_CODE ON
    VERSION ${PROJECT_VERSION}
    SOVERSION ${soversion})
  # Within another project only what is linked is built.
  if(NOT PROJECT_IS_TOP_LEVEL AND NOT WEBSESSION_INSTALL)
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL SHARED_LIBRARY)
    target_compile_definitions(${target} PUBLIC WEBSESSION_SHARED)
    # Only what public headers declare is exported. The tests and benchmarks use what is private.
    if(NOT WEBSESSION_TESTS AND NOT WEBSESSION_BENCH)
      set_target_properties(${target} PROPERTIES
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON)
      # What is hidden in another component is missed here, and not by whoever links the two.
      if(CMAKE_SYSTEM_NAME STREQUAL Linux)
        target_link_options(${target} PRIVATE LINKER:--no-undefined)
      endif()
    endif()
  endif()
  set_property(GLOBAL APPEND PROPERTY WEBSESSION_TARGETS ${target})
  set_target_properties(${target} PROPERTIES
    WEBSESSION_PUBLIC "${arg_PUBLIC}" WEBSESSION_PRIVATE "${arg_PRIVATE}")
endfunction()

# websession_adapter(<framework>) makes the header-only target websession::<framework>. It does not
# bring the framework: the application has that already, in its own version.
function(websession_adapter name)
  set(target websession_${name})
  add_library(${target} INTERFACE)
  add_library(websession::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(${target} INTERFACE websession_core)
  set_target_properties(${target} PROPERTIES WEBSESSION_PUBLIC websession_core)
  set_property(GLOBAL APPEND PROPERTY WEBSESSION_TARGETS ${target})
endfunction()
