// Runs only where modules don't: in browsers that are too old for the study. So no modern words.

(function () {
  var say = JSON.parse(document.getElementById("needs").textContent).modules;
  var main = document.getElementById("main");
  var heading = document.createElement("h1");
  var paragraph = document.createElement("p");
  heading.textContent = say.title;
  paragraph.textContent = say.text;
  main.innerHTML = "";
  main.appendChild(heading);
  main.appendChild(paragraph);
})();
