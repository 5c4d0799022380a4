// What others report for the same images, as accuracy and normalized mutual information. Their
// networks, epochs and numbers of tries differ.

/** @typedef {{ method: string, acc: number, nmi?: number }} Figure */

/** @type {Record<string, Figure[]>} */
export const PUBLISHED = {
  digits: [
    { method: "autoencoder, k-means (Xie 2016)", acc: 0.82 },
    { method: "IDEC (Guo 2017)", acc: 0.88, nmi: 0.87 },
    { method: "DCEC (Guo 2017)", acc: 0.89, nmi: 0.885 },
    { method: "VaDE (Jiang 2017)", acc: 0.945 },
    { method: "N2D (McConville 2021)", acc: 0.979, nmi: 0.942 },
  ],
  fashion: [
    { method: "DEC (McConville 2021)", acc: 0.59, nmi: 0.63 },
    { method: "N2D (McConville 2021)", acc: 0.672, nmi: 0.684 },
  ],
};
