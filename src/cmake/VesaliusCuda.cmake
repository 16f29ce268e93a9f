# SPDX-License-Identifier: Apache-2.0
# libvesalius_cuda: kernels (src/*/cuda/*.cu, which include no torch header) and their operators
# (src/*/cuda/*.cpp). A library of its own, opened at run time by vesalius::load_cuda_kernels(), so that
# libvesalius itself loads where torch has no CUDA.

set(VESALIUS_HAS_CUDA OFF)
file(GLOB cuda_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*/cuda/*.cu" "${PROJECT_SOURCE_DIR}/src/*/cuda/*.cpp")
if(NOT VESALIUS_CUDA STREQUAL "OFF" AND cuda_sources)
  include(CheckLanguage)
  check_language(CUDA)
  set(_problem "")
  if(NOT CMAKE_CUDA_COMPILER)
    set(_problem "no working nvcc on PATH or in CUDACXX")
  elseif(NOT VESALIUS_TORCH_CUDA_VERSION)
    set(_problem "torch ${VESALIUS_TORCH_VERSION} was built without CUDA")
  else()
    # The kernels share torch's CUDA runtime: its major version must be the same. C++20 needs nvcc 12.
    execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --version OUTPUT_VARIABLE _nvcc)
    string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" _nvcc "${_nvcc}")
    set(_nvcc_major "${CMAKE_MATCH_1}")
    string(REGEX MATCH "^[0-9]+" _torch_major "${VESALIUS_TORCH_CUDA_VERSION}")
    if(NOT _nvcc_major STREQUAL _torch_major OR _nvcc_major LESS 12)
      set(_problem "${CMAKE_CUDA_COMPILER} is ${_nvcc} and torch was built with CUDA ${VESALIUS_TORCH_CUDA_VERSION}; the major versions must agree")
    endif()
  endif()
  if(NOT _problem)
    set(VESALIUS_HAS_CUDA ON)
  elseif(VESALIUS_CUDA STREQUAL "ON")
    message(FATAL_ERROR "VESALIUS_CUDA=ON: ${_problem}.")
  else()
    message(STATUS "Vesalius: no CUDA kernels: ${_problem}")
  endif()
endif()
message(STATUS "Vesalius: torch ${VESALIUS_TORCH_VERSION}, CUDA kernels ${VESALIUS_HAS_CUDA}")
if(NOT VESALIUS_HAS_CUDA)
  return()
endif()

if(NOT CMAKE_CUDA_ARCHITECTURES)
  # Turing to Hopper as machine code, anything newer from PTX.
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 90)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # torch's own libcudart, already in the process
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
add_library(vesalius_cuda SHARED ${cuda_sources})
target_include_directories(vesalius_cuda PRIVATE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_BINARY_DIR}/include")
target_link_libraries(vesalius_cuda PRIVATE vesalius vesalius::torch_cuda CUDA::cudart)
set_target_properties(vesalius_cuda PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/vesalius/lib"
  CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON UNITY_BUILD OFF
  INSTALL_RPATH "$ORIGIN;$<IF:$<BOOL:${SKBUILD}>,$ORIGIN/../../torch/lib,${VESALIUS_TORCH_DIR}/lib>")
install(TARGETS vesalius_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
