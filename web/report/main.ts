/** What the page does by itself: draws curves, and picks groups out of a map. */
import "uplot/dist/uPlot.min.css";
import "../charts/line_chart.css";
import "../theme.css";
import "../tables.css";
import "./style.css";
import { drawCurves } from "./curves.ts";
import { watchGroups } from "./groups.ts";

drawCurves();
watchGroups();
