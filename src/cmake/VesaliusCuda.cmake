# SPDX-License-Identifier: Apache-2.0
# libvesalius_cuda: kernels (src/*/cuda/*.cu, which include no torch header) and their operators
# (src/*/cuda/*.cpp). A library of its own, opened at run time by vesalius::load_cuda_kernels(), so that
# libvesalius itself loads where torch has no CUDA.

set(VESALIUS_HAS_CUDA OFF)
if(NOT VESALIUS_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER AND VESALIUS_TORCH_HAS_CUDA)
    set(VESALIUS_HAS_CUDA ON)
  elseif(VESALIUS_CUDA STREQUAL "ON")
    message(FATAL_ERROR "VESALIUS_CUDA=ON needs nvcc (found: ${CMAKE_CUDA_COMPILER}) and a torch with CUDA (found: ${VESALIUS_TORCH_HAS_CUDA}).")
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
file(GLOB cuda_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*/cuda/*.cu" "${PROJECT_SOURCE_DIR}/src/*/cuda/*.cpp")
add_library(vesalius_cuda SHARED ${cuda_sources})
target_include_directories(vesalius_cuda PRIVATE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_BINARY_DIR}/include")
target_link_libraries(vesalius_cuda PRIVATE vesalius vesalius::torch_cuda CUDA::cudart)
set_target_properties(vesalius_cuda PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/python/vesalius/lib"
  CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON UNITY_BUILD OFF
  INSTALL_RPATH "$ORIGIN;$<IF:$<BOOL:${SKBUILD}>,$ORIGIN/../../torch/lib,${VESALIUS_TORCH_DIR}/lib>")
install(TARGETS vesalius_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
