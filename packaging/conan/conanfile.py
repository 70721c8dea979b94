"""Conan 2: `conan create packaging/conan`, from the root of the repository."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.0"


class WebsessionConan(ConanFile):
    name = "websession"
    description = "HTTP sessions for C++ web servers, in memory, in Redis, in SQLite and in PostgreSQL"
    license = "MIT"
    topics = ("http", "session", "cookie", "redis")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "shared": [True, False],
        "fPIC": [True, False],
        "redis": [True, False],
        "sqlite": [True, False],
        "postgres": [True, False],
        "admin": [True, False],
    }
    default_options = {
        "shared": False,
        "fPIC": True,
        "redis": True,
        "sqlite": False,
        "postgres": False,
        "admin": False,
    }
    implements = ["auto_shared_fpic"]

    @property
    def _repository(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        text = load(self, os.path.join(self._repository, "CMakeLists.txt"))
        self.version = re.search(r"project\(websession VERSION ([0-9.]+)", text).group(1)

    def export_sources(self):
        for part in ("CMakeLists.txt", "LICENSE", "README.md", "CHANGELOG.md", "cmake/*", "docs/*",
                     "include/*", "src/*", "tools/*"):
            copy(self, part, self._repository, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    # What a header of a component includes is seen by whoever uses it.
    def requirements(self):
        self.requires("nlohmann_json/[>=3.10 <4]", transitive_headers=True)
        self.requires("openssl/[>=3 <4]")
        if self.options.redis:
            self.requires("hiredis/[>=1 <2]")
        if self.options.sqlite:
            self.requires("sqlite3/[>=3.38 <4]")
        if self.options.postgres:
            self.requires("libpq/[>=12]")

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os == "Windows":
            raise ConanInvalidConfiguration("websession needs a POSIX system")

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.24]")

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for component in ("redis", "sqlite", "postgres", "admin"):
            toolchain.cache_variables["WEBSESSION_" + component.upper()] = bool(
                self.options.get_safe(component))
        toolchain.cache_variables["WEBSESSION_TESTS"] = False
        toolchain.cache_variables["WEBSESSION_EXAMPLES"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        # Conan makes such files itself, for what it brings in.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "share"))

    def package_info(self):
        def component(name, requires, has_library=True):
            info = self.cpp_info.components[name]
            info.set_property("cmake_target_name", "websession::" + name)
            info.set_property("pkg_config_name", "websession-" + name)
            info.requires = requires
            if has_library:
                info.libs = ["websession_" + name]
                info.system_libs = ["pthread"] if self.settings.os in ("Linux", "FreeBSD") else []
                if self.options.shared:
                    info.defines = ["WEBSESSION_SHARED"]
            else:
                info.libdirs = info.bindirs = []

        component("core", ["nlohmann_json::nlohmann_json", "openssl::crypto"])
        component("memory", ["core"])
        component("testing", ["core"])
        if self.options.redis:
            component("redis", ["core", "hiredis::hiredis", "openssl::ssl"])
        if self.options.sqlite or self.options.postgres:
            component("sql", ["core", "nlohmann_json::nlohmann_json"])
        if self.options.sqlite:
            component("sqlite", ["core", "sql", "sqlite3::sqlite3"])
        if self.options.postgres:
            component("postgres", ["core", "sql", "libpq::pq"])
        for adapter in ("httplib", "beast", "poco", "drogon", "crow"):
            component(adapter, ["core"], has_library=False)
