# What undoes the DEFLATE of zip files: zlib, and libdeflate, which is faster, where there is one.
# Debian has it in libdeflate-dev. -DFLEXAE_LIBDEFLATE=OFF does without.
#
# Defines the target flexae::inflaters.

find_package(ZLIB REQUIRED)
add_library(flexae_inflaters INTERFACE)
add_library(flexae::inflaters ALIAS flexae_inflaters)
target_link_libraries(flexae_inflaters INTERFACE ZLIB::ZLIB)

find_path(FLEXAE_LIBDEFLATE_INCLUDE libdeflate.h)
find_library(FLEXAE_LIBDEFLATE deflate)
mark_as_advanced(FLEXAE_LIBDEFLATE_INCLUDE FLEXAE_LIBDEFLATE)
if(FLEXAE_LIBDEFLATE AND FLEXAE_LIBDEFLATE_INCLUDE)
  target_include_directories(flexae_inflaters SYSTEM INTERFACE "${FLEXAE_LIBDEFLATE_INCLUDE}")
  target_compile_definitions(flexae_inflaters INTERFACE FLEXAE_LIBDEFLATE)
  target_link_libraries(flexae_inflaters INTERFACE "${FLEXAE_LIBDEFLATE}")
else()
  message(STATUS "No libdeflate: zlib inflates zip files. Install libdeflate-dev to be faster.")
endif()
