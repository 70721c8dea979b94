# Installs the library with a package config of components:
#   find_package(websession COMPONENTS redis)
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/websession)
get_property(targets GLOBAL PROPERTY WEBSESSION_TARGETS)

# An export file for each component, so that one can be there without the others.
foreach(target IN LISTS targets)
  get_target_property(component ${target} EXPORT_NAME)
  install(TARGETS ${target} EXPORT websession-${component})
  install(EXPORT websession-${component} NAMESPACE websession:: DESTINATION ${config_dir}
    FILE websession-${component}-targets.cmake)
endforeach()

include(WebsessionPkgConfig)
foreach(target IN LISTS targets)
  websession_pkg_config(${target})
endforeach()

install(DIRECTORY include/websession DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_package_config_file(cmake/websession-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/websession-config.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/websession-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/websession-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/websession-config-version.cmake
  cmake/Findhiredis.cmake
  cmake/WebsessionHiredis.cmake
  DESTINATION ${config_dir})
