#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/files/atomic_file.h"
#include "core/files/bytes.h"
#include "core/files/safetensors.h"
#include "test/core/temporary_folder.h"

namespace flexae {
namespace {

TEST(Json, ReadsWhatItWrites) {
  const std::string text =
      R"({"a":[1,-2.5,1e+300,true,false,null],"b":{"é\"\\\n":"x"},"c":[],"d":{}})";
  const Json value = Json::parse(text);
  EXPECT_EQ(value.at("a").array()[1].number(), -2.5);
  EXPECT_EQ(Json::parse(value.dump()).dump(), value.dump());
  EXPECT_EQ(Json::parse(R"("\ud83d\ude00\u00e9")").string(), "😀é");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "nul", "01x", "\"\x01\"", "\"\\ud800\"",
        "\"\\u12\"", "\"abc", "1 2", "+1", "NaN", "Infinity", "1e999", "--1"}) {
    EXPECT_THROW(Json::parse(text), Error) << text;
  }
  EXPECT_THROW(Json::parse(std::string(100000, '[')), Error);
}

TEST(WriteFileAtomic, ReplacesAndLeavesNoTemporaryFile) {
  const TemporaryFolder folder;
  const std::string path = folder.path("file");
  write_file_atomic(path, {std::as_bytes(std::span("old", 3))});
  write_file_atomic(path, {std::as_bytes(std::span("ne", 2)), std::as_bytes(std::span("wer", 3))});
  EXPECT_EQ(read_file(path), "newer");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("")), {}), 1);
}

TEST(WriteFileAtomic, NamesThePathAndTheReason) {
  try {
    write_file_atomic("/nonexistent/folder/file", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find("/nonexistent/folder/file: No such file"),
              std::string::npos);
  }
}

TEST(FileBytes, AreReadFromAnyPlaceAndNoFurtherThanTheEnd) {
  const TemporaryFolder folder;
  const std::string path = folder.path("file");
  write_file_atomic(path, {std::as_bytes(std::span("0123456789", 10))});
  const FileBytes file(path);
  const MemoryBytes memory("0123456789");
  for (const Bytes* bytes :
       {static_cast<const Bytes*>(&file), static_cast<const Bytes*>(&memory)}) {
    std::string text(4, '-');
    EXPECT_EQ(bytes->size(), 10);
    EXPECT_EQ(bytes->read(3, text.data(), 4), 4);
    EXPECT_EQ(text, "3456");
    EXPECT_EQ(bytes->read(8, text.data(), 4), 2);
    EXPECT_EQ(text, "8956");
    EXPECT_EQ(bytes->read(10, text.data(), 4), 0);
    EXPECT_EQ(bytes->read(uint64_t{1} << 40, text.data(), 4), 0);
  }
}

TEST(FileBytes, SayWhatCannotBeRead) {
  const TemporaryFolder folder;
  for (const std::string& path : {folder.path("missing"), folder.path("")}) {
    try {
      const FileBytes file(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
    }
  }
}

TensorFile sample_file() {
  return {{{"a", at::arange(6, at::kFloat).view({2, 3})},
           {"b", at::arange(4, at::kByte)},
           {"empty", at::empty({0, 3}, at::kDouble)},
           {"scalar", at::scalar_tensor(7, at::kLong)}},
          {{"key", "value with \"quotes\""}}};
}

TEST(TensorFile, ComesBackAsItWas) {
  const TemporaryFolder folder;
  const std::string path = folder.path("x.ckpt");
  const TensorFile file = sample_file();
  write_tensor_file(path, file);
  const TensorFile back = read_tensor_file(path, /*require_checksum=*/true);
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].first, file.tensors[i].first);
    EXPECT_TRUE(at::equal(back.tensors[i].second, file.tensors[i].second));
  }
}

TEST(TensorFile, NoticesAFlippedBitAnywhere) {
  const TemporaryFolder folder;
  const std::string path = folder.path("x.ckpt");
  write_tensor_file(path, sample_file());
  const std::string whole = read_file(path);
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int bit : {0, 6}) {
      std::string broken = whole;
      broken[i] = static_cast<char>(broken[i] ^ (1 << bit));
      EXPECT_THROW(parse_tensor_file(broken, "x", true), Error) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(TensorFile, NoticesACutAnywhere) {
  const TemporaryFolder folder;
  const std::string path = folder.path("x.ckpt");
  write_tensor_file(path, sample_file());
  const std::string whole = read_file(path);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(parse_tensor_file(std::string_view(whole).substr(0, size), "x", true), Error);
  }
}

TEST(TensorFile, ChecksSizesBeforeItTakesMemory) {
  const auto with_header = [](const std::string& header) {
    const uint64_t size = header.size();
    std::string data(sizeof size, '\0');
    std::memcpy(data.data(), &size, sizeof size);
    return data + header;
  };
  for (const char* header :
       {R"({"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}})",
        R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})",
        R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[8,4]}})",
        R"({"a":{"dtype":"C64","shape":[0],"data_offsets":[0,0]}})", R"({"a":3})", R"([])"}) {
    EXPECT_THROW(parse_tensor_file(with_header(header), "x", false), Error) << header;
  }
}

}  // namespace
}  // namespace flexae
