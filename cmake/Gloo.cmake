# Several processes that train together add up by gloo, inside libtorch. Its headers are no part of
# most libtorchs: Debian has them in libgloo-dev.
#
# Defines: FLEXAE_HAS_GLOO, whether native/core/comm can be compiled with it.

set(FLEXAE_HAS_GLOO OFF)
find_path(FLEXAE_GLOO_INCLUDE gloo/context.h HINTS "${FLEXAE_LIBTORCH_DIR}/include")
mark_as_advanced(FLEXAE_GLOO_INCLUDE)
if(FLEXAE_GLOO_INCLUDE)
  # That a libtorch has it, and that these headers fit, only a program tells.
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_DEFINITIONS -DUSE_DISTRIBUTED -DUSE_C10D_GLOO)
  set(CMAKE_REQUIRED_INCLUDES "${FLEXAE_LIBTORCH_DIR}/include" "${FLEXAE_GLOO_INCLUDE}"
    "${FLEXAE_LIBTORCH_DIR}/include/torch/csrc/api/include")
  # Imported targets of namespaces are not known there.
  set(CMAKE_REQUIRED_LIBRARIES "${FLEXAE_LIBTORCH_DIR}/lib/libtorch_cpu.so"
    "${FLEXAE_LIBTORCH_DIR}/lib/libc10.so" dl pthread)
  set(CMAKE_REQUIRED_LINK_OPTIONS ${_rpath_link})
  check_cxx_source_compiles("
    #include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
    #include <torch/csrc/distributed/c10d/TCPStore.hpp>
    int main() {
      auto store = c10::make_intrusive<c10d::TCPStore>(std::string());
      c10d::ProcessGroupGloo group(store, 0, 1);
      return group.getRank();
    }" FLEXAE_GLOO_WORKS)
  unset(CMAKE_REQUIRED_DEFINITIONS)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  set(FLEXAE_HAS_GLOO ${FLEXAE_GLOO_WORKS})
endif()
if(NOT FLEXAE_HAS_GLOO)
  message(STATUS "No gloo: one process trains. Install libgloo-dev for several.")
endif()

# The files that use it; they must not share the precompiled header, which knows nothing of it.
function(flexae_set_gloo)
  if(NOT FLEXAE_HAS_GLOO)
    return()
  endif()
  # Named again, a system's folder comes before those of the compiler.
  set(_include "")
  if(NOT FLEXAE_GLOO_INCLUDE IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    set(_include "-isystem;${FLEXAE_GLOO_INCLUDE}")
  endif()
  foreach(_source IN LISTS ARGN)
    if(_source MATCHES "/comm/(membership|process_group)\\.cpp$")
      set_source_files_properties("${_source}" PROPERTIES
        COMPILE_DEFINITIONS "FLEXAE_GLOO;USE_DISTRIBUTED;USE_C10D_GLOO"
        COMPILE_OPTIONS "${_include}"
        SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()
