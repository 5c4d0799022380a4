#!/usr/bin/env bash
# Tries everything that needs a GPU, in one go: build, tests, speed beside PyTorch's, where the time
# goes, and the program itself, from a bundle. Needs bash, CMake, ninja or make, a C++ compiler,
# GoogleTest (installed, or its source) and a Python with torch >= 2.11 and CUDA; no Node, no
# OpenCV, no network. The bundle needs that Python alone. docs/performance.md says more.
set -uo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/gpu/check.sh [options]

  --only STEP[,STEP]   of build, tests, speed, profile, clusters, program (all, in this order)
  --device NAME        cuda, cuda:N, or cpu as a rehearsal (cuda)
  --python PROGRAM     the Python that has torch (python3)
  --out FOLDER         where results go (build-gpu/results)
  --gtest FOLDER       the source of GoogleTest, where it is not installed
  --cases A,B          what speed measures, e.g. default-256-bf16,mnist (all)
  --ours               speed without PyTorch
  --limit SECONDS      of the speed step (240)
  --bundle FILE        what program tries: what npm run bundle wrote (.gpu/bundle.tar.xz)

The build folder, build-gpu, is kept: a second run compiles what has changed.
TEXT
}

cd "$(dirname "$0")/../.." || exit 1
steps=build,tests,speed,profile,clusters,program device=cuda python=python3 out=build-gpu/results gtest=""
cases="" ours="" limit=240 bundle=.gpu/bundle.tar.xz asked=""
while (($#)); do
  case $1 in
    --only | --device | --python | --out | --gtest | --cases | --limit | --bundle)
      (($# > 1)) || { echo "$1 needs a value" >&2; exit 2; }
      case $1 in
        --only) steps=$2 asked=$2 ;; --device) device=$2 ;; --python) python=$2 ;; --out) out=$2 ;;
        --gtest) gtest=$2 ;; --cases) cases=$2 ;; --limit) limit=$2 ;;
        --bundle) bundle=$2 asked=$asked,program ;;
      esac
      shift 2 ;;
    --ours) ours=--ours; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "Unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
for step in ${steps//,/ }; do
  case $step in build | tests | speed | profile | clusters | program) ;; *)
    echo "Unknown step $step: build, tests, speed, profile, clusters or program" >&2; exit 2 ;;
  esac
done
# Without a bundle the rest is tried all the same, unless the program was asked for.
if [[ ! -f $bundle && ,$asked, == *,program,* ]]; then
  echo "There is no bundle at $bundle. npm run bundle writes one, where Node is." >&2
  exit 2
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
build=build-gpu
programs=$build/Release

torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null) || {
  echo "$python has no torch. Name one that has with --python." >&2
  exit 1
}

# Each step writes its own log as it goes; a run that is cut short has said what it could.
summary=()
step() {
  local name=$1 seconds=$2 start=$SECONDS code
  shift 2
  [[ ",$steps," == *",$name,"* ]] || return 0
  printf '\n=== %s\n' "$name"
  timeout --kill-after=5 "$seconds" "$@" 2>&1 | tee "$out/$name.log"
  code=${PIPESTATUS[0]}
  local said=ok
  ((code == 124 || code == 137)) && said="cut off after $seconds s"
  ((code != 0 && code != 124 && code != 137)) && said="FAILED ($code)"
  summary+=("$name: $said, $((SECONDS - start)) s")
  printf '%s\n' "${summary[@]}" >"$out/summary.txt"
  return "$code"
}

build_all() {
  local generator=() arguments=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  [[ -n $gtest ]] && arguments=("-DFLEXAE_GTEST_SOURCE=$gtest")
  cmake -S . -B $build "${generator[@]}" -DFLEXAE_OPENCV=OFF -DFLEXAE_TESTS=ON -DFLEXAE_BENCH=ON \
    "-DFLEXAE_LIBTORCH=$torch" -DCMAKE_POLICY_VERSION_MINIMUM=3.5 "${arguments[@]}" \
    >"$out/configure.log" 2>&1 || { tail -n 20 "$out/configure.log"; return 1; }
  cmake --build $build "-j$(nproc)" --target flexae_device_tests flexae_train_bench \
    flexae_kmeans_bench
}

run_tests() { FLEXAE_TEST_DEVICE=$device $programs/flexae_device_tests; }

run_speed() {
  local arguments=()
  [[ -n $cases ]] && arguments+=(--cases "$cases")
  "$python" scripts/gpu/speed.py --bench $programs/flexae_train_bench --out "$out" \
    --device "$device" --limit "$limit" $ours "${arguments[@]}"
}

# Without a graph, kernels belong to layers; in a graph they run as they do in training.
run_profile() {
  local size=(--batch-size 256 --steps 5)
  [[ $device == cpu ]] && size=(--batch-size 4 --image-shape 64,64 --steps 2)
  echo "Operation by operation:"
  FLEXAE_CUDA_GRAPH=0 $programs/flexae_train_bench --device "$device" --precision "$precision" \
    "${size[@]}" --horizontal-flip false --vertical-flip false --profile "$out/trace-sent.json" &&
    gzip -f "$out/trace-sent.json" || return 1
  echo
  echo "As a graph:"
  $programs/flexae_train_bench --device "$device" --precision "$precision" "${size[@]}" \
    --horizontal-flip false --vertical-flip false --profile "$out/trace-graph.json" &&
    gzip -f "$out/trace-graph.json"
}

# Points, numbers of each, clusters: by kernels on the CPU's cores, and by libtorch on the device.
run_clusters() {
  local cases=("70000 10 10" "1000000 64 100" "200000 256 1000") points width clusters
  [[ $device == cpu ]] && cases=("70000 10 10" "20000 64 100")
  for case in "${cases[@]}"; do
    read -r points width clusters <<<"$case"
    for on in "" "--device $device" "" "--device $device"; do
      # shellcheck disable=SC2086 # two words, or none
      $programs/flexae_kmeans_bench --points "$points" --width "$width" --clusters "$clusters" $on ||
        return 1
    done
  done
}

run_program() {
  local arguments=()
  [[ $device == cpu ]] && arguments=(--images 200 --side 64 --batch-size 32)
  "$python" scripts/gpu/program.py --bundle "$bundle" --torch "$torch" --work $build/program \
    --out "$out" --device "$device" "${arguments[@]}"
}
precision=bf16
build_limit=240
if [[ $device == cpu ]]; then
  precision=auto
  # A rehearsal has a few cores, and a large network takes a CPU longer than anyone waits.
  build_limit=900
  [[ -z $cases ]] && cases=mnist-256-bf16
fi
export build out gtest torch device programs python cases limit ours precision
export bundle
export -f build_all run_tests run_speed run_profile run_clusters run_program

step build $build_limit bash -c build_all || { printf '\n%s\n' "${summary[@]}"; exit 1; }
failed=0
step tests 120 bash -c run_tests || failed=1
step speed $((limit + 30)) bash -c run_speed || failed=1
step profile 90 bash -c run_profile || failed=1
step clusters 60 bash -c run_clusters || failed=1
if [[ -f $bundle ]]; then
  step program 300 bash -c run_program || failed=1
elif [[ ,$steps, == *,program,* ]]; then
  summary+=("program: left out, there is no bundle at $bundle (npm run bundle writes one)")
fi
printf '\n'
printf '%s\n' "${summary[@]}"
printf 'Results are in %s\n' "$out"
exit $failed
