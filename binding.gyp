# `npx node-gyp rebuild` gives the same addon by the same CMake build: this target only calls it.
{
  "targets": [
    {
      "target_name": "flexae",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": [],
          "outputs": ["<(PRODUCT_DIR)/flexae.node"],
          "action": ["node", "scripts/build-addon.mjs"],
          "message": "Building flexae.node with CMake"
        }
      ]
    }
  ]
}
