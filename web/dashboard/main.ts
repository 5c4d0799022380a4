/** Begins: asks for the runs, and shows them. */
import "uplot/dist/uPlot.min.css";
import "../charts/line_chart.css";
import "../theme.css";
import "./style.css";
import { Dashboard } from "./dashboard.ts";

new Dashboard().begin();
