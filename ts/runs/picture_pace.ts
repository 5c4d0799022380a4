/** Which epochs' pictures are kept, where each epoch has some. */

/** Pictures begin to be left out when so many bytes of them are there. */
const PICTURE_BYTES = 4 << 20;

/**
 * Each time the pictures have grown by {@link PICTURE_BYTES}, half as many epochs get one, so that
 * their file grows ever more slowly.
 */
export class PicturePace {
  #bytes = 0;

  takes(epoch: number): boolean {
    return epoch % 2 ** Math.floor(this.#bytes / PICTURE_BYTES) === 0;
  }

  /** So many bytes were written. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }
}
