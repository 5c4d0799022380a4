#include "core/cpu/kernels/kernels.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "core/base/error.h"

namespace flexae {
namespace {

TEST(ChooseKernelsTest, TakesTheSetOfTheNameAndTheBestWithoutOne) {
  EXPECT_STREQ(choose_kernels("baseline").name, "baseline");
  const Kernels* best = baseline_kernels();
  for (const Kernels* set : {avx2_kernels(), avx512_kernels(), avx512bf16_kernels()}) {
    if (set == nullptr) continue;
    EXPECT_EQ(&choose_kernels(set->name), set);
    best = set;
  }
  EXPECT_EQ(&choose_kernels(""), best);
}

TEST(ChooseKernelsTest, RefusesWhatIsNoSetOfThisProcessor) {
  const auto refusal = [](const char* asked) -> std::string {
    try {
      (void)choose_kernels(asked);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfig);
      return error.what();
    }
    return "";
  };
  for (const char* asked : {"avx3", "AVX2", "avx2 ", "avx51", "none"}) {
    const std::string message = refusal(asked);
    EXPECT_NE(message.find("baseline, avx2, avx512 or avx512bf16 but received '" +
                           std::string(asked) + "'"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("This processor has baseline"), std::string::npos) << message;
  }
  // Known, but beyond this processor: whoever asks for a set is to get that one.
  const std::string here = refusal("none").substr(refusal("none").find('\n'));
  for (const auto& [name, set] :
       {std::pair{"avx2", avx2_kernels()}, std::pair{"avx512", avx512_kernels()},
        std::pair{"avx512bf16", avx512bf16_kernels()}}) {
    EXPECT_EQ(refusal(name).empty(), set != nullptr) << name;
    EXPECT_EQ(here.find(std::string(" ") + name) != std::string::npos, set != nullptr) << here;
  }
}

}  // namespace
}  // namespace flexae
