# SPDX-License-Identifier: Apache-2.0
# The extension module vesalius._vesalius, with the pybind11 inside the torch wheel: types and exceptions
# cross between torch and us only where both share pybind11's internals.

find_package(Python 3.10 COMPONENTS Interpreter Development.Module REQUIRED)
file(GLOB binding_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/bindings/*.cpp")
Python_add_library(_vesalius MODULE WITH_SOABI ${binding_sources})
target_link_libraries(_vesalius PRIVATE vesalius vesalius::torch_python)
target_include_directories(_vesalius PRIVATE "${PROJECT_SOURCE_DIR}/python/bindings")
# pybind11's casters of one type must be the same in every file: one unity file would hide a mismatch.
set_target_properties(_vesalius PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/vesalius"
  INSTALL_RPATH "$ORIGIN/lib;$ORIGIN/../torch/lib")
if(SKBUILD)  # `cmake --install` alone is for C++: a prefix has no package around the module
  install(TARGETS _vesalius LIBRARY DESTINATION .)
endif()

# In the build tree: the package as links, so that PYTHONPATH=<build>/python works without installing.
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/python/vesalius")
file(GLOB python_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/vesalius/*")
foreach(file IN LISTS python_files)
  get_filename_component(name "${file}" NAME)
  if(NOT name STREQUAL "__pycache__")
    file(CREATE_LINK "${file}" "${PROJECT_BINARY_DIR}/python/vesalius/${name}" SYMBOLIC)
  endif()
endforeach()
