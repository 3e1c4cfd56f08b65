// The gallery of all components looks as it did: its pictures are compared with those in `e2e/pictures`.
// UPDATE_PICTURES=1 takes them anew, to be looked at before they are committed.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { opened, setUp, travel } from "./browser.mjs";

const { KEYWRIGHT_TEST_NODE_MODULES, UPDATE_PICTURES } = process.env;
const FOLDER = new URL("pictures/", import.meta.url);
// Every machine has other fonts, so that the pictures are taken in one of their own.
const FONT = readFileSync(`${KEYWRIGHT_TEST_NODE_MODULES}/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2`, "base64");
const STYLE = `@font-face { font-family: Pictured; src: url(data:font/woff2;base64,${FONT}); font-weight: 100 900 }
  :root { --mono: Pictured !important } html { font-family: Pictured !important } * { animation: none !important; transition: none !important }`;
// Browsers smooth the edges of letters in their own ways: squares of so many pixels are compared, and may differ by so much.
const SQUARE = 4;
const SHADE = 40;
// The part of all squares that may differ.
const PART = 0.002;

const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 375, height: 800 } },
};

// How much of two pictures differs, from 0 to 1; they are drawn small by a browser, which is what knows how to read them.
const difference = (page, ...pictures) =>
  page.evaluate(
    async ([pictures, square, shade]) => {
      const drawn = async (picture) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
        const [width, height] = [Math.ceil(image.width / square), Math.ceil(image.height / square)];
        const surface = new OffscreenCanvas(width, height).getContext("2d");
        surface.imageSmoothingQuality = "high";
        surface.drawImage(image, 0, 0, width, height);
        return surface.getImageData(0, 0, width, height);
      };
      const [one, other] = await Promise.all(pictures.map(drawn));
      if (one.width !== other.width || one.height !== other.height) return 1;
      let different = 0;
      for (let at = 0; at < one.data.length; at += 4) {
        const shades = [0, 1, 2].map((color) => Math.abs(one.data[at + color] - other.data[at + color]));
        if (Math.max(...shades) > shade) different += 1;
      }
      return different / (one.width * one.height);
    },
    [pictures.map((picture) => picture.toString("base64")), SQUARE, SHADE],
  );

await travel({
  async "the gallery looks as it did, in light, in dark and on a phone"() {
    const first = await opened();
    await setUp(first);
    const storageState = await first.storageState();
    const bench = await (await opened()).newPage();
    for (const [name, look] of Object.entries(LOOKS)) {
      const context = await opened({ ...look, storageState, bypassCSP: true });
      const page = await context.newPage();
      await page.goto("/dev/ui");
      await page.addStyleTag({ content: STYLE });
      await page.evaluate(() => document.fonts.ready);
      const picture = await page.screenshot({ fullPage: true });
      await context.close();
      const known = new URL(`${name}.png`, FOLDER);
      if (UPDATE_PICTURES) {
        mkdirSync(FOLDER, { recursive: true });
        writeFileSync(known, picture);
        continue;
      }
      const part = await difference(bench, readFileSync(known), picture);
      if (part > PART) {
        const seen = `${tmpdir()}/keywright-${name}.png`;
        writeFileSync(seen, picture);
        assert.fail(`${(part * 100).toFixed(2)} % of ${name} is not as it was: compare ${seen}; UPDATE_PICTURES=1 takes it as it is`);
      }
    }
  },
});
