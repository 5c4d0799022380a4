# Settings that every target shares.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# One set of flags for libraries and executables, so that all can share one precompiled header.
add_compile_options(-fPIC -Wall -Wextra)

# A vptr check needs the type information of every class, which libtorch keeps some of to itself.
if(FLEXAE_SANITIZE)
  add_compile_options(-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined
    -fno-sanitize=vptr -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
endif()

# Lines are counted as they stand in the source, however the code is optimized.
if(FLEXAE_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "FLEXAE_COVERAGE needs clang: -DCMAKE_CXX_COMPILER=clang++.")
  endif()
  add_compile_options(-O1 -fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

find_program(FLEXAE_CCACHE ccache)
mark_as_advanced(FLEXAE_CCACHE)
if(FLEXAE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without these ccache never hits for a file that uses a precompiled header.
  set(_environment CCACHE_SLOPPINESS=pch_defines,time_macros)
  # Nor, without this, for what another clone compiled.
  if(NOT DEFINED ENV{CCACHE_BASEDIR})
    list(APPEND _environment "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}")
  endif()
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;${_environment};${FLEXAE_CCACHE}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

# Files in a folder isa/ are compiled for the instructions that they are named after, and called only
# after a check at run time. They must not share the precompiled header: its flags differ.
function(flexae_set_isa)
  foreach(_source IN LISTS ARGN)
    # What their loops need to be vectorized: no errno, no traps, reductions where they say so. And
    # to begin where cache lines do: else a change anywhere moves others by 5 %.
    if(_source MATCHES "/isa/[^/]+$")
      set_property(SOURCE "${_source}" APPEND PROPERTY COMPILE_OPTIONS
        -fno-math-errno -fno-trapping-math -fopenmp-simd
        -falign-functions=64 -falign-loops=32)
      set_source_files_properties("${_source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON
        SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
      continue()
    endif()
    if(_source MATCHES "/isa/avx2\\.cpp$")
      set(_flags -mavx2 -mfma -mf16c)
    elseif(_source MATCHES "/isa/avx512(bf16)?\\.cpp$")
      set(_flags -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c)
      if(_source MATCHES "bf16\\.cpp$")
        list(APPEND _flags -mavx512bf16)
      endif()
    else()
      continue()
    endif()
    set_property(SOURCE "${_source}" APPEND PROPERTY COMPILE_OPTIONS ${_flags})
  endforeach()
endfunction()

# Reading libtorch's headers takes most of a small file's time: several files at once are compiled in
# a third of it. So names are unique within a target, those in unnamed namespaces too.
function(flexae_unity target)
  if(FLEXAE_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()
