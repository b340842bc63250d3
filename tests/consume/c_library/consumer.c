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
  const int64_t negative[] = {-1};
  if (omnibal_lay_documents(negative, 1, &layout, cu_seqlens, NULL, NULL, &error) != 1) return 1;
  return strncmp(error.text, "lengths[0] = -1", 15) == 0 ? 0 : 1;
}
