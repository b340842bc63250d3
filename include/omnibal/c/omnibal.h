/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The C interface of indices for packed batches, for Python and other languages: structs of plain
 * values, raw pointers to contiguous arrays, no memory that a caller has to free. The library of
 * the host forms is omnibal_c, that of the device forms omnibal_c_gpu; docs/device-indices.md
 * defines every array.
 *
 * Every function returns 0, or 1 after bad input, and then has written one line to `error`, which
 * may be null. An output pointer that is null is not written. Structs grow at their end only, with
 * the version.
 */
#ifndef OMNIBAL_C_OMNIBAL_H
#define OMNIBAL_C_OMNIBAL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define OMNIBAL_C_API __declspec(dllexport)
#else
#define OMNIBAL_C_API __attribute__((visibility("default")))
#endif

/** Of this interface: changes where a caller must change. */
#define OMNIBAL_C_VERSION 1
OMNIBAL_C_API int32_t omnibal_c_version(void);

/** What was wrong, ended by a zero byte; cut where it is longer. */
typedef struct omnibal_error {
  char text[256];
} omnibal_error;

/** A layout of documents: the shape of every array, whatever the pack. */
typedef struct omnibal_document_layout {
  int64_t documents;    /**< capacity */
  int64_t slots;        /**< of the row, tail included */
  int64_t multiple;     /**< padding of each document, at least 1 */
  int32_t tail_counted; /**< 1: offsets have documents + 2 entries, the tail is one more document;
                           0: documents + 1 */
} omnibal_document_layout;

typedef struct omnibal_document_summary {
  int64_t documents;
  int64_t tokens;
  int64_t slots_used;
  int64_t tail;
  int64_t longest;
  int64_t longest_padded;
} omnibal_document_summary;

/** Offsets of documents: cu_seqlens and cu_seqlens_padded, int32. */
OMNIBAL_C_API int32_t omnibal_lay_documents(const int64_t* lengths, int64_t count,
                                            const omnibal_document_layout* layout,
                                            int32_t* cu_seqlens, int32_t* cu_seqlens_padded,
                                            omnibal_document_summary* summary,
                                            omnibal_error* error);

/** Which slots a rank has. */
typedef enum omnibal_split {
  OMNIBAL_WHOLE = 0,
  OMNIBAL_CONTIGUOUS = 1,
  OMNIBAL_STRIPED = 2,
  OMNIBAL_ZIGZAG_ROW = 3,
  OMNIBAL_ZIGZAG = 4 /**< of each document */
} omnibal_split;

/** A row of documents and a rank of it. */
typedef struct omnibal_row {
  const int64_t* lengths; /**< [documents] */
  int64_t documents;
  int64_t slots;
  int64_t multiple;
  int32_t split; /**< omnibal_split; arrays have slots / ranks entries */
  int64_t ranks;
  int64_t rank;
} omnibal_row;

typedef struct omnibal_token_inputs {
  const int64_t* labels;        /**< [slots], or null */
  const float* document_weight; /**< [documents], or null: 1 */
  const int32_t* image_first;   /**< [slots] first slot of each slot's image, or null */
  int32_t zero_in_padding;      /**< position ids in padding: 1 zeros, 0 running on */
  int32_t shifted_labels;       /**< 1: the next token's label, 0: the slot's own */
  int32_t mask; /**< 0 causal, 1 full, 2 causal window, 3 bidirectional window, 4 causal
                     chunk, 5 prefix, 6 prefix window */
  int64_t mask_parameter;
} omnibal_token_inputs;

/** [slots of the rank] each. */
typedef struct omnibal_token_arrays {
  int64_t* position_ids;
  int32_t* sequence_index;
  uint8_t* padding_mask;
  int64_t* source_slot;
  int64_t* global_slot;
  int64_t* labels;
  float* loss_weights;
  int32_t* first_query;
  int32_t* limit_query;
} omnibal_token_arrays;

OMNIBAL_C_API int32_t omnibal_fill_tokens(const omnibal_row* row,
                                          const omnibal_token_inputs* inputs,
                                          const omnibal_token_arrays* arrays, omnibal_error* error);

/** The arrays of a BlockMask from one interval per key: counts [lines], indices [lines * width]. */
typedef struct omnibal_block_arrays {
  int32_t* kv_num_blocks; /**< [ceil(slots / q_block)] */
  int32_t* kv_indices;    /**< [ceil(slots / q_block) * ceil(slots / k_block)] */
  int32_t* full_kv_num_blocks;
  int32_t* full_kv_indices;
  int32_t* q_num_blocks; /**< [ceil(slots / k_block)] */
  int32_t* q_indices;
  int32_t* full_q_num_blocks;
  int32_t* full_q_indices;
} omnibal_block_arrays;

OMNIBAL_C_API int32_t omnibal_list_blocks(const int32_t* first_query, const int32_t* limit_query,
                                          int64_t slots, int64_t q_block, int64_t k_block,
                                          const omnibal_block_arrays* arrays, omnibal_error* error);

/** Arrays of a vision tower: t, h, w [patches], window_index and inverse [patches / merge^2].
 * `grids` has three numbers an image: t, h, w. `window_side` is in cells; 0 where neither of the
 * last two is wanted. */
OMNIBAL_C_API int32_t omnibal_lay_patches(const int32_t* grids, int64_t images, int64_t merge,
                                          int64_t window_side, int64_t* t, int64_t* h, int64_t* w,
                                          int64_t* window_index, int64_t* inverse,
                                          omnibal_error* error);

/** Numbers of sequences of a vision tower. */
typedef struct omnibal_vision_counts {
  int64_t frames;
  int64_t windows; /**< 0 for window_side 0 */
} omnibal_vision_counts;

/** cu_seqlens of a vision tower: per frame and per window of `window_side` cells. Each array has at
 * least one entry more than there are sequences (call with null arrays to learn how many), and
 * repeats its last value. With `empty_windows` each frame has the windows beyond its edge too, as
 * callers of transformers 4 expect. */
OMNIBAL_C_API int32_t omnibal_vision_cu_seqlens(const int32_t* grids, int64_t images, int64_t merge,
                                                int64_t window_side, int32_t empty_windows,
                                                int32_t* cu_frames, int64_t frame_entries,
                                                int32_t* cu_windows, int64_t window_entries,
                                                omnibal_vision_counts* counts,
                                                omnibal_error* error);

/** Inputs of M-RoPE. */
typedef struct omnibal_rope_inputs {
  int32_t variant; /**< 0 Qwen2-VL, 1 Qwen2.5-VL, 2 Qwen3-VL, 3 GLM-4V */
  int64_t merge;
  const uint8_t* token_type;  /**< [slots] 0 text, 1 image, 2 video */
  const int32_t* image_grids; /**< [images * 3] */
  int64_t images;
  const int32_t* video_grids; /**< [videos * 3] */
  int64_t videos;
  float tokens_per_second;
  const float* seconds_per_grid; /**< [videos], or null: 1 each */
} omnibal_rope_inputs;

/** Position ids [axes * slots], axes 3 or 4, and one delta a document. The row is whole. */
OMNIBAL_C_API int32_t omnibal_rope_positions(const omnibal_row* row,
                                             const omnibal_rope_inputs* inputs, int32_t axes,
                                             int64_t* position_ids, int64_t* delta,
                                             omnibal_error* error);

/** Which image each slot belongs to, by its inputs of M-RoPE (variants differ in whether frames of
 * videos are grids of their own). Each array [slots], or null. `image_group`: number of the slot's
 * grid among the images, then the videos, -1 for text. `image_first`: first slot of its image or
 * frame, the slot itself for text; omnibal_token_inputs takes it. The row is whole. */
OMNIBAL_C_API int32_t omnibal_image_groups(const omnibal_row* row,
                                           const omnibal_rope_inputs* inputs, int32_t* image_group,
                                           int32_t* image_first, omnibal_error* error);

/* Device forms, of the library omnibal_c_gpu, which is built where there is a CUDA toolkit. No
 * header of it is needed here. Arrays, also those in structs, are device memory; structs themselves
 * are the host's, and so are numbers. `stream` is a cudaStream_t. Every function enqueues kernels
 * and returns without waiting, allocates nothing, copies nothing to the host, and may be captured
 * in a graph. An output that is null is not written, unless it is called needed. */

/** What the device knows of a row. It is legal if first_negative is -1 and slots_used at most the
 * slots. */
typedef struct omnibal_row_summary {
  int64_t tokens;
  int64_t slots_used;
  int32_t longest;
  int32_t first_negative; /**< first document with a negative length (taken as 0), or -1 */
} omnibal_row_summary;

/** Where lengths are: device memory, or host memory of 1,000 lengths at most, which kernel
 * parameters hold and which are checked at once. */
typedef enum omnibal_memory { OMNIBAL_ON_DEVICE = 0, OMNIBAL_ON_HOST = 1 } omnibal_memory;

/** Offsets as omnibal_lay_documents gives; `summary` is needed. One kernel. */
OMNIBAL_C_API int32_t omnibal_device_lay_documents(const int32_t* lengths, int64_t count,
                                                   int32_t lengths_memory,
                                                   const omnibal_document_layout* layout,
                                                   int32_t* cu_seqlens, int32_t* cu_seqlens_padded,
                                                   omnibal_row_summary* summary, void* stream,
                                                   omnibal_error* error);

/** A row that omnibal_device_lay_documents has laid, and a rank of it. */
typedef struct omnibal_device_row {
  const int32_t* cu_seqlens;        /**< needed */
  const int32_t* cu_seqlens_padded; /**< null: the same, where multiple is 1 */
  int64_t documents; /**< of the lengths; with OMNIBAL_ZIGZAG one more, the tail (counted) */
  int64_t slots;
  int64_t multiple;
  int32_t split; /**< omnibal_split; arrays have slots / ranks entries */
  int64_t ranks;
  int64_t rank;
} omnibal_device_row;

/** Arrays as omnibal_fill_tokens gives. One kernel. */
OMNIBAL_C_API int32_t omnibal_device_fill_tokens(const omnibal_device_row* row,
                                                 const omnibal_token_inputs* inputs,
                                                 const omnibal_token_arrays* arrays, void* stream,
                                                 omnibal_error* error);

/** Lists as omnibal_list_blocks gives; all arrays are needed. Two kernels. */
OMNIBAL_C_API int32_t omnibal_device_list_blocks(const int32_t* first_query,
                                                 const int32_t* limit_query, int64_t slots,
                                                 int64_t q_block, int64_t k_block,
                                                 const omnibal_block_arrays* arrays, void* stream,
                                                 omnibal_error* error);

/** The shape of a row of images. */
typedef struct omnibal_image_layout {
  int64_t patches;       /**< of the row; what is behind the last image is not written */
  int32_t merge;         /**< a square of merge * merge patches is a cell, one language token */
  int64_t window_side;   /**< in cells; 0: no windows */
  int32_t empty_windows; /**< as omnibal_vision_cu_seqlens */
  int64_t table_side;    /**< of the table of position embeddings; 0 where no taps are wanted */
  int32_t align_corners;
  int32_t bicubic; /**< 1: 16 taps a patch, 0: bilinear, 4 taps */
} omnibal_image_layout;

/** What the device knows of a row of images. It is legal if first_bad is -1 and patches at most
 * those of the layout. */
typedef struct omnibal_image_summary {
  int64_t patches;
  int64_t frames;
  int64_t windows;
  int32_t first_bad; /**< first grid that is not legal, or -1 */
  int32_t reserved;
} omnibal_image_summary;

/** cu_seqlens of frames and windows have any number of entries, at least one more than there are
 * sequences, and repeat the last value. */
typedef struct omnibal_device_image_arrays {
  omnibal_image_summary* summary; /**< needed */
  int32_t* cu_patches;            /**< [images + 1], needed: cu_seqlens per clip */
  int32_t* cu_frames;             /**< [images + 1], needed: cumulated t */
  int32_t* cu_windows;            /**< [images + 1], needed with cu_window_seqlens */
  int32_t* tokens_of_image;       /**< [images] */
  int32_t* cu_seqlens;            /**< [frame_entries] per frame */
  int64_t frame_entries;
  int32_t* cu_window_seqlens; /**< [window_entries] */
  int64_t window_entries;
  int64_t* t;            /**< [patches] */
  int64_t* h;            /**< [patches] */
  int64_t* w;            /**< [patches] */
  int64_t* window_index; /**< [patches / merge^2] */
  int64_t* inverse;      /**< [patches / merge^2] */
  int64_t* taps;         /**< [patches * 4 or 16] */
  float* tap_weights;    /**< [patches * 4 or 16] */
} omnibal_device_image_arrays;

/** Arrays of a vision tower. `grids` has three numbers an image, in device memory. Two kernels. */
OMNIBAL_C_API int32_t omnibal_device_lay_images(const int32_t* grids, int64_t images,
                                                const omnibal_image_layout* layout,
                                                const omnibal_device_image_arrays* arrays,
                                                void* stream, omnibal_error* error);

/** What the device knows of a row with images. It is legal if all four are INT32_MAX. */
typedef struct omnibal_rope_summary {
  int32_t first_bad; /**< first slot whose type no grid explains; slots where a grid is left over */
  int32_t first_bad_image; /**< first image grid that is not legal */
  int32_t first_bad_video;
  int32_t first_bad_seconds; /**< first of seconds_per_grid that is out of range */
} omnibal_rope_summary;

/** Position ids, and what follows the workspace, may be null. */
typedef struct omnibal_device_rope_arrays {
  int64_t* position_ids; /**< [axes * slots] */
  omnibal_rope_summary* summary;
  int32_t* image_cells;     /**< [images + 1] cumulated language tokens */
  int32_t* image_positions; /**< [images + 1] cumulated advances */
  int32_t* video_cells;     /**< [videos + 1] */
  int32_t* video_positions; /**< [videos + 1] */
  int32_t* workspace;       /**< [omnibal_device_rope_workspace(slots)] */
  int64_t* delta;           /**< [documents] */
  int64_t* source_row; /**< [slots] number of an image or video token among its kind, -1 for text */
  int32_t* image_group; /**< [slots] as omnibal_image_groups */
  int32_t* image_first; /**< [slots] */
} omnibal_device_rope_arrays;

/** Entries of the workspace. */
OMNIBAL_C_API int64_t omnibal_device_rope_workspace(int64_t slots);

/** Position ids as omnibal_rope_positions gives. The row is whole. Two kernels. */
OMNIBAL_C_API int32_t omnibal_device_rope_positions(const omnibal_device_row* row,
                                                    const omnibal_rope_inputs* inputs, int32_t axes,
                                                    const omnibal_device_rope_arrays* arrays,
                                                    void* stream, omnibal_error* error);

#ifdef __cplusplus
}
#endif

#endif
