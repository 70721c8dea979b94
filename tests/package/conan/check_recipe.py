"""Runs the methods of the Conan recipe with stand-ins for what it imports, since Conan itself is in no
distribution, and compares what they say with what CMake installs.

    check_recipe.py <folder of the repository> <prefix where all of it is installed>
"""

import contextlib
import importlib.util
import os
import re
import sys
import types

repository, prefix = sys.argv[1:]
recipe_folder = os.path.join(repository, "packaging", "conan")
copied = []


def module(name, **members):
    made = sys.modules[name] = types.ModuleType(name)
    made.__dict__.update(members)


class ConanFile:
    pass


class Recorder:
    """CMakeDeps, CMakeToolchain and CMake: what is called on them."""

    made = []

    def __init__(self, _):
        self.cache_variables, self.calls = {}, []
        Recorder.made.append(self)

    def generate(self):
        self.calls.append("generate")

    configure = build = install = generate


def load(_, path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def copy(_, pattern, source, target):
    path = os.path.join(source, pattern.rstrip("*"))
    assert os.path.exists(path), f"the recipe copies {path}, which is not there"
    copied.append(pattern)


module("conan", ConanFile=ConanFile)
module("conan.errors", ConanInvalidConfiguration=type("ConanInvalidConfiguration", (Exception,), {}))
module("conan.tools")
module("conan.tools.build", check_min_cppstd=lambda _, standard: None, can_run=lambda _: True)
module("conan.tools.cmake", CMake=Recorder, CMakeDeps=Recorder, CMakeToolchain=Recorder,
       cmake_layout=lambda _: None)
module("conan.tools.files", copy=copy, load=load, rmdir=lambda _, path: None)


def read(*path):
    spec = importlib.util.spec_from_file_location("recipe", os.path.join(recipe_folder, *path))
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    return recipe


read("test_package", "conanfile.py")
recipe = read("conanfile.py")
CMakeLists = load(None, os.path.join(repository, "CMakeLists.txt"))


class Options(types.SimpleNamespace):
    def get_safe(self, name):
        return getattr(self, name, None)


class Info(types.SimpleNamespace):
    def set_property(self, name, value):
        self.__dict__[name] = value


class Components(dict):
    def __missing__(self, name):
        self[name] = Info()
        return self[name]


def made(system="Linux", **options):
    conan = recipe.WebsessionConan()
    assert set(conan.options) == set(conan.default_options)
    assert set(options) <= set(conan.options), options
    conan.options = Options(**{**conan.default_options, **options})
    conan.settings = types.SimpleNamespace(os=system)
    conan.recipe_folder = recipe_folder
    conan.export_sources_folder = conan.source_folder = conan.package_folder = repository
    conan.required, conan.tools = [], []
    conan.requires = lambda what, **_: conan.required.append(what.split("/")[0])
    conan.tool_requires = conan.tools.append
    conan.cpp_info = types.SimpleNamespace(components=Components())
    Recorder.made.clear()
    for step in ("set_version", "export_sources", "layout", "requirements", "build_requirements", "validate",
                 "generate", "build", "package", "package_info"):
        getattr(conan, step)()
    return conan


# The version is the project's, and each option of the recipe is one of the project.
everything = dict(redis=True, sqlite=True, postgres=True, admin=True)
conan = made(**everything, shared=True)
assert conan.version == re.search(r"VERSION ([0-9.]+)", CMakeLists.split("project(websession")[1]).group(1)
toolchain = next(entry for entry in Recorder.made if entry.cache_variables)
for name in toolchain.cache_variables:
    assert re.search(rf"^option\({name} ", CMakeLists, re.M), f"the project has no option {name}"
    assert toolchain.cache_variables[name] is (name not in ("WEBSESSION_TESTS", "WEBSESSION_EXAMPLES"))

# What is installed by CMake are the components, and they need what the .pc files name.
outside = {"nlohmann_json": "nlohmann_json::nlohmann_json", "libcrypto": "openssl::crypto",
           "libssl": "openssl::ssl", "hiredis": "hiredis::hiredis", "sqlite3": "sqlite3::sqlite3",
           "libpq": "libpq::pq"}
folder = next(path for path, _, files in os.walk(prefix) if path.endswith("pkgconfig"))
components = conan.cpp_info.components
installed = {re.fullmatch(r"websession-(.*)\.pc", name).group(1) for name in os.listdir(folder)}
assert installed == set(components), installed ^ set(components)
for name, component in components.items():
    text = load(None, os.path.join(folder, f"websession-{name}.pc"))
    needs = [need.split()[0] for line in re.findall(r"^Requires(?:\.private)?:(.*)$", text, re.M)
             for need in line.split(",") if need.strip()]
    expected = {outside[need] if need in outside else need.removeprefix("websession-") for need in needs}
    assert set(component.requires) == expected, (name, component.requires, expected)
    assert getattr(component, "libs", []) == re.findall(r"-l(websession_\w+)", text), name
    assert component.cmake_target_name == f"websession::{name}"
    for need in component.requires:
        package = need.split("::")[0]
        assert package in components or package in conan.required or package == "openssl", need
        # A component's dependency is one of the recipe's requirements.
        if "::" in need:
            assert package in conan.required, need

# A dependency comes with its component, and not without.
plain = made(redis=False)
assert plain.required == ["nlohmann_json", "openssl"], plain.required
assert not {"redis", "sqlite", "postgres", "sql"} & set(plain.cpp_info.components)
with contextlib.suppress(sys.modules["conan.errors"].ConanInvalidConfiguration):
    made(system="Windows")
    sys.exit("Windows is not refused")
print("the recipe of", conan.version, "has", len(components), "components, as installed")
