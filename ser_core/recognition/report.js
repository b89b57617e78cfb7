// Saves a figure of the result card as PNG, in the browser that shows the page.
for (const figure of document.querySelectorAll("figure")) {
  const button = figure.querySelector("button"), drawing = figure.querySelector("svg");
  button.addEventListener("click", () => {
    const picture = new Image(), canvas = document.createElement("canvas"), scale = 3;
    canvas.width = scale * drawing.viewBox.baseVal.width;
    canvas.height = scale * drawing.viewBox.baseVal.height;
    picture.onload = () => {
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const link = document.createElement("a");
      link.href = canvas.toDataURL("image/png");
      link.download = document.body.id + "-" + figure.id + ".png";
      link.click();
    };
    picture.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(drawing));
  });
}
