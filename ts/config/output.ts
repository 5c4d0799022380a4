import { z } from "zod";

export const outputSchema = z.strictObject({
  save_dir: z
    .string()
    .min(1)
    .refine((text) => !text.includes("\0"))
    .nullable(),
  save_prefix: z.string().regex(/^[\p{L}\p{N}._-]{1,64}$/u),
  overwrite: z.boolean(),
  preTrain_verbose: z.literal([0, 1, 2]),
});

export type OutputSettings = z.infer<typeof outputSchema>;
