#include "core/base/thread_team.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace flexae {

void end_team() {
#ifdef _OPENMP
  // Refused within a parallel region, where there is nothing to end.
  (void)omp_pause_resource(omp_pause_soft, omp_get_initial_device());
#endif
}

}  // namespace flexae
