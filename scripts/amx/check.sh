#!/usr/bin/env bash
# Tries what is particular to processors with AMX, whose tiles multiply bf16: the core's tests, our
# speed with AMX and by the kernels for AVX512-BF16 alone, and both beside PyTorch, whose oneDNN
# computes convolutions in tiles. Runs in a clone that `npm run setup` has set up.
set -uo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/amx/check.sh [options]

  --only STEP[,STEP]   of build, tests, speed, peers (all, in this order)
  --rounds N           rounds of speed and peers (5)
  --out FOLDER         where results go (build-amx/results)
  --any-processor      also without AMX, as a rehearsal

The build folder, build-amx, is kept: a second run compiles what has changed.
TEXT
}

cd "$(dirname "$0")/../.." || exit 1
steps=build,tests,speed,peers rounds=5 out=build-amx/results any=""
while (($#)); do
  case $1 in
    --only | --rounds | --out)
      (($# > 1)) || { echo "$1 needs a value" >&2; exit 2; }
      case $1 in --only) steps=$2 ;; --rounds) rounds=$2 ;; --out) out=$2 ;; esac
      shift 2 ;;
    --any-processor) any=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "Unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
done
for step in ${steps//,/ }; do
  case $step in build | tests | speed | peers) ;; *)
    echo "Unknown step $step: build, tests, speed or peers" >&2; exit 2 ;;
  esac
done
if [[ -z $any ]] && ! grep -qw amx_bf16 /proc/cpuinfo; then
  echo "This processor has no AMX (amx_bf16 in /proc/cpuinfo). --any-processor tries all the same." >&2
  exit 1
fi
if [[ ! -s .setup/libtorch ]]; then
  echo "No libtorch is set up here: run npm run setup." >&2
  exit 1
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
build=build-amx
programs=$build/Release

# Each step writes its own log as it goes; a run that is cut short has said what it could.
summary=()
step() {
  local name=$1 start=$SECONDS code
  [[ ",$steps," == *",$name,"* ]] || return 0
  printf '\n=== %s\n' "$name"
  "run_$name" 2>&1 | tee "$out/$name.log"
  code=${PIPESTATUS[0]}
  local said=ok
  ((code != 0)) && said="FAILED ($code)"
  summary+=("$name: $said, $((SECONDS - start)) s")
  printf '%s\n' "${summary[@]}" >"$out/summary.txt"
  return "$code"
}

run_build() {
  local generator=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  cmake -S . -B $build "${generator[@]}" -DFLEXAE_OPENCV=OFF -DFLEXAE_TESTS=ON -DFLEXAE_BENCH=ON \
    >"$out/configure.log" 2>&1 || { tail -n 20 "$out/configure.log"; return 1; }
  cmake --build $build "-j$(nproc)"
}

run_tests() {
  $programs/flexae_core_tests && FLEXAE_TEST_DEVICE=cpu $programs/flexae_device_tests
}

# The four networks of bench/peers. A set of kernels that is named computes without AMX.
default=() default_steps=20
mnist=(--image-shape 28,28 --filters 16,32 --kernel-size 3 --strides 2 --pooling no --dims 32
  --activation relu --last-activation linear --drop-rate 0 --optimizer adam --batch-size 64)
mnist_steps=2000
rgb=(--image-shape 128,128 --channels 3 --optimizer adam --batch-size 64) rgb_steps=20
deep=(--image-shape 512,512 --filters 16,32,64,128,128,256 --kernel-size 5,5,3 --strides 2
  --pooling avg,no --dims 500,100 --batch-size 16)
deep_steps=10

run_speed() {
  local round network kernels arguments count
  for ((round = 1; round <= rounds; ++round)); do
    for network in default mnist rgb deep; do
      local -n arguments=$network count=${network}_steps
      for kernels in "" avx512bf16; do
        printf '%s\t%s\t' "$network" "${kernels:-amx}"
        FLEXAE_KERNELS=$kernels $programs/flexae_train_bench --device cpu --precision bf16 \
          "${arguments[@]}" --steps "$count" --warmup 5 --peak-size 0 --json || return 1
      done
    done
  done >"$out/speed.tsv"
  # The median a network, in ms a step, and how often the first is as fast as the second.
  awk -F '\t' '
    match($3, /"msPerStep": *[0-9.e+-]+/) {
      text = substr($3, RSTART, RLENGTH); sub(/.*: */, "", text)
      key = $1 SUBSEP $2; value[key, ++many[key]] = text + 0; names[$1]
    }
    function median(key,    n, i, j, swap, list) {
      n = many[key]
      for (i = 1; i <= n; ++i) list[i] = value[key, i]
      for (i = 1; i <= n; ++i) for (j = i + 1; j <= n; ++j)
        if (list[j] < list[i]) { swap = list[i]; list[i] = list[j]; list[j] = swap }
      return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
    }
    END {
      for (name in names) {
        amx = median(name SUBSEP "amx"); other = median(name SUBSEP "avx512bf16")
        if (amx > 0 && other > 0)
          printf "%-8s with AMX %.2f ms a step, by AVX512-BF16 %.2f: AMX is %.2f times as fast\n",
            name, amx, other, other / amx
      }
    }' "$out/speed.tsv"
}

run_peers() {
  npm run --silent bench:peers -- --peers pytorch --precision bf16 --no-compile \
    --rounds "$rounds" --block-seconds 1 --output "$out/peers.json"
}

failed=0
step build || { printf '\n%s\n' "${summary[@]}"; exit 1; }
step tests || failed=1
step speed || failed=1
step peers || failed=1
printf '\n'
printf '%s\n' "${summary[@]}"
printf 'Results are in %s\n' "$out"
exit $failed
