// A picture to upload where no file is chosen: a landscape that differs each time.

const [WIDTH, HEIGHT] = [480, 320];

/** A PNG file whose name obeys the strictest rule of the demo's grants. */
export async function painted() {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const paint = canvas.getContext("2d");
  const hue = Math.random() * 360;
  const sky = paint.createLinearGradient(0, 0, 0, HEIGHT);
  sky.addColorStop(0, `hsl(${hue} 70% 35%)`);
  sky.addColorStop(1, `hsl(${hue + 50} 90% 78%)`);
  paint.fillStyle = sky;
  paint.fillRect(0, 0, WIDTH, HEIGHT);
  paint.fillStyle = `hsl(${hue + 60} 95% 88%)`;
  paint.beginPath();
  paint.arc(90 + Math.random() * 300, 110 + Math.random() * 50, 34, 0, 7);
  paint.fill();
  [0, 1, 2].forEach((range) => hills(paint, range, hue));
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new File([blob], `meadow-${Date.now()}.png`, { type: "image/png" });
}

function hills(paint, range, hue) {
  const [base, shift] = [170 + range * 45, Math.random() * 9];
  paint.fillStyle = `hsl(${hue + 100} ${30 + range * 10}% ${42 - range * 12}%)`;
  paint.beginPath();
  paint.moveTo(0, HEIGHT);
  for (let x = 0; x <= WIDTH; x += 8) {
    paint.lineTo(x, base + 26 * Math.sin(x / (60 + range * 25) + shift) + 9 * Math.sin(x / 23 + shift));
  }
  paint.lineTo(WIDTH, HEIGHT);
  paint.fill();
}
