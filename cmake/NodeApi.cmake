# Defines flexae::node_api: the headers of Node-API 8 and of node-addon-api, with C++ exceptions.
# cmake-js passes the include folders; without it they are asked of Node.

if(CMAKE_JS_INC)
  set(_includes ${CMAKE_JS_INC})
else()
  find_program(FLEXAE_NODE NAMES node nodejs REQUIRED)
  mark_as_advanced(FLEXAE_NODE)
  execute_process(
    COMMAND "${FLEXAE_NODE}" -p
            "[require('node-api-headers').include_dir, require('node-addon-api').include_dir].map(d => require('path').resolve(d)).join(';')"
    WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}/.."
    OUTPUT_VARIABLE _includes OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE _failed ERROR_QUIET)
  if(_failed)
    message(FATAL_ERROR "node-api-headers and node-addon-api are not installed: run `npm ci`.")
  endif()
endif()

add_library(flexae_node_api INTERFACE)
add_library(flexae::node_api ALIAS flexae_node_api)
target_include_directories(flexae_node_api SYSTEM INTERFACE ${_includes})
target_compile_definitions(flexae_node_api INTERFACE
  NAPI_VERSION=8 NODE_ADDON_API_CPP_EXCEPTIONS BUILDING_NODE_EXTENSION)
