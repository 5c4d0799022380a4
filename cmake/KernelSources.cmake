# Makes the sources of the kernels that are compiled at run time part of the program: a header with
# each file of native/core/cuda/kernels as text.

file(GLOB _kernels CONFIGURE_DEPENDS native/core/cuda/kernels/*.cu.h)
set(_header "${CMAKE_BINARY_DIR}/generated/core/cuda/sources.h")
set(_text "#pragma once\n\n#include <string_view>\n\nnamespace flexae::cuda {\n\n")
string(APPEND _text "struct Source {\n  std::string_view name;\n  std::string_view text;\n};\n\n")
string(APPEND _text "inline constexpr Source kSources[] = {\n")
foreach(_kernel IN LISTS _kernels)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_kernel}")
  get_filename_component(_name "${_kernel}" NAME)
  string(REPLACE ".cu.h" "" _name "${_name}")
  file(READ "${_kernel}" _source)
  string(APPEND _text "    {\"${_name}\", R\"KERNEL(${_source})KERNEL\"},\n")
endforeach()
string(APPEND _text "};\n\n}  // namespace flexae::cuda\n")
# Only when it has changed, so that nothing is compiled for nothing.
set(_old "")
if(EXISTS "${_header}")
  file(READ "${_header}" _old)
endif()
if(NOT _old STREQUAL _text)
  file(WRITE "${_header}" "${_text}")
endif()
