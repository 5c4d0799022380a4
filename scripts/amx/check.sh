#!/usr/bin/env bash
# Tries what is particular to processors with AMX; --help says more.
exec node "$(dirname "$0")/check.mjs" "$@"
