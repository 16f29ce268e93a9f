# SPDX-License-Identifier: Apache-2.0
# Imported targets on the libraries of the installed torch wheel.
#
# torch's own CMake package is not used: on a CUDA wheel it stops where there is no CUDA toolkit
# (pytorch#73427), and it adds flags to everything. Found by Python's import machinery without
# importing torch, or by -DVESALIUS_TORCH_DIR=<folder that holds torch/lib>.
#
#   vesalius::torch         libc10 and libtorch_cpu with their headers
#   vesalius::torch_python  libtorch_python (the tensor casters of the bindings)
#   vesalius::torch_cuda    libtorch_cuda and libc10_cuda, where the wheel has them
# and VESALIUS_TORCH_VERSION, VESALIUS_TORCH_CUDA_VERSION, VESALIUS_TORCH_HAS_CUDA.

if(NOT VESALIUS_TORCH_DIR)
  # Virtual environments first: the torch that `pip install` will run against is the one to build for.
  set(Python_FIND_VIRTUALENV FIRST)
  find_package(Python 3.10 COMPONENTS Interpreter REQUIRED)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE _torch_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT _torch_dir)
    message(FATAL_ERROR
      "No torch in ${Python_EXECUTABLE}. Install it there (pip install torch) or pass -DVESALIUS_TORCH_DIR=.../torch.\n"
      "In `pip install .` build isolation hides the torch you have: add --no-build-isolation.")
  endif()
  set(VESALIUS_TORCH_DIR "${_torch_dir}" CACHE PATH "the installed torch package")
endif()

file(STRINGS "${VESALIUS_TORCH_DIR}/version.py" _torch_version_line REGEX "^__version__")
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" VESALIUS_TORCH_VERSION "${_torch_version_line}")
if(NOT VESALIUS_TORCH_VERSION OR VESALIUS_TORCH_VERSION VERSION_LESS 2.11)
  message(FATAL_ERROR "Vesalius needs torch 2.11 or newer; ${VESALIUS_TORCH_DIR} has \"${VESALIUS_TORCH_VERSION}\".")
endif()
file(STRINGS "${VESALIUS_TORCH_DIR}/version.py" _torch_cuda_line REGEX "^cuda")
string(REGEX MATCH "[0-9]+\\.[0-9]+" VESALIUS_TORCH_CUDA_VERSION "${_torch_cuda_line}")
set(_torch_lib "${VESALIUS_TORCH_DIR}/lib")
if(EXISTS "${_torch_lib}/libtorch_cuda.so")
  set(VESALIUS_TORCH_HAS_CUDA ON)
else()
  set(VESALIUS_TORCH_HAS_CUDA OFF)
endif()

function(_vesalius_torch_library name file)
  if(NOT TARGET ${name} AND EXISTS "${_torch_lib}/${file}")
    add_library(${name} SHARED IMPORTED GLOBAL)
    set_target_properties(${name} PROPERTIES IMPORTED_LOCATION "${_torch_lib}/${file}")
  endif()
endfunction()

_vesalius_torch_library(vesalius::c10 libc10.so)
_vesalius_torch_library(vesalius::torch_cpu libtorch_cpu.so)
_vesalius_torch_library(vesalius::c10_cuda libc10_cuda.so)
_vesalius_torch_library(vesalius::torch_cuda_lib libtorch_cuda.so)
_vesalius_torch_library(vesalius::torch_python_lib libtorch_python.so)

if(NOT TARGET vesalius::torch)
  add_library(vesalius::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(vesalius::torch SYSTEM INTERFACE
    "${VESALIUS_TORCH_DIR}/include" "${VESALIUS_TORCH_DIR}/include/torch/csrc/api/include")
  target_compile_features(vesalius::torch INTERFACE cxx_std_20)
  target_link_libraries(vesalius::torch INTERFACE vesalius::torch_cpu vesalius::c10)
  add_library(vesalius::torch_python INTERFACE IMPORTED GLOBAL)
  target_link_libraries(vesalius::torch_python INTERFACE vesalius::torch vesalius::torch_python_lib)
  if(VESALIUS_TORCH_HAS_CUDA)
    add_library(vesalius::torch_cuda INTERFACE IMPORTED GLOBAL)
    target_link_libraries(vesalius::torch_cuda INTERFACE vesalius::torch vesalius::torch_cuda_lib vesalius::c10_cuda)
  endif()
endif()
