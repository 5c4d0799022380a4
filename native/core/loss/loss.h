#pragma once

// What training makes small, and what is told beside it.

#include "core/loss/bce.h"
#include "core/loss/metrics.h"
