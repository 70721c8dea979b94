# The port stands in the repository of the library, as an overlay: it builds what it stands in, and
# downloads nothing.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS features
  FEATURES
    redis WEBSESSION_REDIS
    sqlite WEBSESSION_SQLITE
    postgres WEBSESSION_POSTGRES
    admin WEBSESSION_ADMIN)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${features}
    -DWEBSESSION_TESTS=OFF
    -DWEBSESSION_EXAMPLES=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/websession)
vcpkg_fixup_pkgconfig()
if("admin" IN_LIST FEATURES)
  vcpkg_copy_tools(TOOL_NAMES websession-admin AUTO_CLEAN)
endif()

file(REMOVE_RECURSE
  "${CURRENT_PACKAGES_DIR}/debug/include"
  "${CURRENT_PACKAGES_DIR}/debug/share"
  "${CURRENT_PACKAGES_DIR}/share/doc")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
