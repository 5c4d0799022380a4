# Imports a prebuilt libtorch as flexae::torch (torch_cpu, c10 and its OpenMP runtime).
#
# Torch's own CMake config is not used: for a libtorch with CUDA it stops unless a CUDA toolkit is
# installed, and this project needs no CUDA at build time.
#
# Reads:   FLEXAE_LIBTORCH, else the environment's LIBTORCH, else the path that set-up recorded in
#          .setup/libtorch. Either a libtorch archive or a Python torch folder (both have lib/, include/).
# Defines: flexae::torch, FLEXAE_LIBTORCH_DIR, FLEXAE_TORCH_VERSION.

set(FLEXAE_LIBTORCH "" CACHE PATH "A libtorch, or the torch folder of a Python installation")

set(_root "${FLEXAE_LIBTORCH}")
if(NOT _root AND DEFINED ENV{LIBTORCH})
  set(_root "$ENV{LIBTORCH}")
endif()
set(_record "${CMAKE_CURRENT_LIST_DIR}/../.setup/libtorch")
if(NOT _root AND EXISTS "${_record}")
  file(READ "${_record}" _root)
  string(STRIP "${_root}" _root)
endif()
if(NOT _root)
  message(FATAL_ERROR
    "No libtorch. Run `npm run setup`, or set LIBTORCH (or -DFLEXAE_LIBTORCH) to a libtorch folder.")
endif()
file(REAL_PATH "${_root}" FLEXAE_LIBTORCH_DIR BASE_DIRECTORY "${CMAKE_SOURCE_DIR}")

foreach(_needed lib/libtorch_cpu.so lib/libc10.so include/ATen/ATen.h)
  if(NOT EXISTS "${FLEXAE_LIBTORCH_DIR}/${_needed}")
    message(FATAL_ERROR
      "${FLEXAE_LIBTORCH_DIR} is no libtorch: ${_needed} is missing. Remove it and run `npm run setup`.")
  endif()
endforeach()

set(_api "${FLEXAE_LIBTORCH_DIR}/include/torch/csrc/api/include")
set(_version_header "${FLEXAE_LIBTORCH_DIR}/include/torch/headeronly/version.h")
if(NOT EXISTS "${_version_header}")
  set(_version_header "${_api}/torch/version.h")
endif()
if(NOT EXISTS "${_version_header}")
  message(FATAL_ERROR "Cannot tell the version of ${FLEXAE_LIBTORCH_DIR}: no version.h in include/.")
endif()
file(STRINGS "${_version_header}" _lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3"
       FLEXAE_TORCH_VERSION "${_lines}")
if(FLEXAE_TORCH_VERSION VERSION_LESS 2.11 OR FLEXAE_TORCH_VERSION VERSION_GREATER_EQUAL 2.15)
  message(FATAL_ERROR
    "libtorch ${FLEXAE_TORCH_VERSION} in ${FLEXAE_LIBTORCH_DIR}: versions 2.11 to 2.14 are supported.")
endif()

# at::parallel_for is serial in code compiled without OpenMP; linking the copy of libgomp that
# libtorch_cpu itself uses keeps the process at one thread pool.
file(GLOB _gomp "${FLEXAE_LIBTORCH_DIR}/lib/libgomp*.so*")
if(_gomp)
  list(GET _gomp 0 _gomp)
else()
  set(_gomp gomp)
endif()

# The CUDA builds of libtorch_cpu.so need libcudart and libcupti, which pip puts beside torch/.
file(GLOB _nvidia LIST_DIRECTORIES true "${FLEXAE_LIBTORCH_DIR}/../nvidia/*/lib")
set(_lib_dirs "${FLEXAE_LIBTORCH_DIR}/lib")
foreach(_dir IN LISTS _nvidia)
  file(REAL_PATH "${_dir}" _dir)
  list(APPEND _lib_dirs "${_dir}")
endforeach()
set(_rpath_link "")
foreach(_dir IN LISTS _lib_dirs)
  list(APPEND _rpath_link "LINKER:-rpath-link,${_dir}")
endforeach()

foreach(_library c10 torch_cpu)
  add_library(flexae::${_library} SHARED IMPORTED)
  set_target_properties(flexae::${_library} PROPERTIES
    IMPORTED_LOCATION "${FLEXAE_LIBTORCH_DIR}/lib/lib${_library}.so"
    IMPORTED_NO_SONAME FALSE)
endforeach()

add_library(flexae_torch INTERFACE)
add_library(flexae::torch ALIAS flexae_torch)
target_include_directories(flexae_torch SYSTEM INTERFACE "${FLEXAE_LIBTORCH_DIR}/include" "${_api}")
target_compile_definitions(flexae_torch INTERFACE
  FLEXAE_TORCH_BUILD_VERSION="${FLEXAE_TORCH_VERSION}")
# Debian's clang has no header for OpenMP, and brings a runtime of its own, not libtorch's: what it
# compiles for coverage runs on one thread.
if(NOT FLEXAE_COVERAGE)
  target_compile_options(flexae_torch INTERFACE -fopenmp)
endif()
target_link_options(flexae_torch INTERFACE ${_rpath_link})
target_link_libraries(flexae_torch INTERFACE flexae::torch_cpu flexae::c10 "${_gomp}" dl pthread)

# RPATH, not RUNPATH: it also serves the libraries that libtorch_cpu.so loads in its turn.
set(CMAKE_BUILD_RPATH "${_lib_dirs}")
add_link_options(LINKER:--disable-new-dtags)

message(STATUS "libtorch ${FLEXAE_TORCH_VERSION}: ${FLEXAE_LIBTORCH_DIR}")
