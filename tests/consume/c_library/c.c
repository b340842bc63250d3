/* SPDX-License-Identifier: Apache-2.0 */
/* A C program that uses the installed library. */
#include <stdio.h>
#include <string.h>

#include <omnibal/c/omnibal.h>

int main(void) {
  const int64_t lengths[] = {3, 0, 5};
  const omnibal_document_layout layout = {4, 16, 1, 1};
  const int32_t expected[] = {0, 3, 3, 8, 16, 16};
  int32_t cu_seqlens[6];
  omnibal_document_summary summary;
  omnibal_error error;
  if (omnibal_c_version() != OMNIBAL_C_VERSION) return 1;
  if (omnibal_lay_documents(lengths, 3, &layout, cu_seqlens, NULL, &summary, &error) != 0) {
    puts(error.text);
    return 1;
  }
  if (memcmp(cu_seqlens, expected, sizeof expected) != 0 || summary.tail != 8) return 1;
  const int32_t grids[] = {2, 4, 6};
  const int32_t expected_frames[] = {0, 24, 48, 48};
  int32_t cu_frames[4];
  int32_t cu_windows[5];
  omnibal_vision_counts counts;
  if (omnibal_vision_cu_seqlens(grids, 1, 2, 2, 0, cu_frames, 4, cu_windows, 5, &counts, &error) != 0)
    return 1;
  if (counts.frames != 2 || counts.windows != 4 || cu_windows[1] != 16 || cu_windows[4] != 48) return 1;
  if (memcmp(cu_frames, expected_frames, sizeof expected_frames) != 0) return 1;
  if (omnibal_vision_cu_seqlens(grids, 1, 2, 2, 0, cu_frames, 2, NULL, 0, NULL, &error) != 1) return 1;
  const int32_t endless[] = {2147483647, 0, 0};
  int64_t cells[1];
  if (omnibal_lay_patches(endless, 1, 2, 0, cells, NULL, NULL, NULL, NULL, &error) != 1) return 1;
  if (strncmp(error.text, "grid t[0] = 2147483647", 22) != 0) return 1;
  if (omnibal_vision_cu_seqlens(endless, 1, 2, 0, 0, NULL, 0, NULL, 0, &counts, &error) != 1) return 1;
  const uint8_t types[] = {0, 1, 1, 0};
  const int32_t image[] = {1, 2, 4};
  const int64_t length[] = {4};
  const omnibal_row row = {length, 1, 4, 1, OMNIBAL_WHOLE, 1, 0};
  const omnibal_rope_inputs images = {0, 2, types, image, 1, NULL, 0, 1, NULL};
  const int32_t expected_group[] = {-1, 0, 0, -1};
  const int32_t expected_first[] = {0, 1, 1, 3};
  int32_t group[4];
  int32_t first[4];
  if (omnibal_image_groups(&row, &images, group, first, &error) != 0) return 1;
  if (memcmp(group, expected_group, sizeof group) != 0 || memcmp(first, expected_first, sizeof first) != 0) return 1;
  if (omnibal_image_groups(&row, &images, NULL, NULL, &error) != 0) return 1;
  const int64_t negative[] = {-1};
  if (omnibal_lay_documents(negative, 1, &layout, cu_seqlens, NULL, NULL, &error) != 1) return 1;
  return strncmp(error.text, "lengths[0] = -1", 15) == 0 ? 0 : 1;
}
